package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/waxseal/waxseal/keystore"
	"github.com/waxseal/waxseal/proxy"
	"github.com/waxseal/waxseal/proxy/api"
	"github.com/waxseal/waxseal/proxy/config"
	"github.com/waxseal/waxseal/proxy/control"
	"github.com/waxseal/waxseal/proxy/providertest"
)

// demoAddress is the account of the demo.
const demoAddress = "you@demo.example"

// demoPatience limits the steps of the first message.
const demoPatience = 20 * time.Second

// demoConfig points to the provider in this process. The system picks every port, so that the
// demo can run beside a working instance.
const demoConfig = `listen     = ["127.0.0.1:0"]
listen_tls = ["127.0.0.1:0"]
metrics    = "127.0.0.1:0"
keystore   = "memory"
listen_imap     = ["127.0.0.1:0"]
listen_imap_tls = ["127.0.0.1:0"]
listen_pop      = ["127.0.0.1:0"]
listen_pop_tls  = ["127.0.0.1:0"]

[[provider]]
id = "demo"
name = "Demo Mail"
domains = ["demo.example"]
auth_url = %q
token_url = %q
scopes = ["mail.send"]
client_id = "waxseal-demo"
smtp = %q
smtp_tls = "starttls"
imap = %q
imap_tls = "implicit"
imap_scopes = ["mail.imap"]
pop = %q
pop_tls = "implicit"
pop_scopes = ["mail.pop"]
ca_file = %q
`

// demoProvider gives tokens only what was consented to.
var demoProvider = providertest.Options{
	ClientID: "waxseal-demo", Rotate: true,
	Scopes: map[providertest.Protocol]string{
		providertest.SMTP: "mail.send", providertest.IMAP: "mail.imap", providertest.POP: "mail.pop",
	},
}

func (m *Main) demoCommand() *cobra.Command {
	var once bool
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Try Waxseal end to end with a built-in provider",
		Long: `Start a built-in mail provider and a separate Waxseal, sign in, send a message
with a password, see it arrive at the provider, which only accepts OAuth 2.0, and
read it back with the same password. Then keep running until Ctrl-C, so that you
can try a real mail program. On a desktop, the tray icon and the window appear
instead, and you add the account yourself. Nothing is kept, and nothing leaves
this computer.`,
		Args: exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error { return m.demo(cmd.Context(), once) },
	}
	cmd.Flags().BoolVar(&once, "once", false, "end after the first message was sent and read")
	return cmd
}

// demo is a running demo.
type demo struct {
	m        *Main
	provider *providertest.Provider
	server   *proxy.Server
	client   *control.Client // as the command line would use it
	config   string
	once     bool
	last     time.Time // when the last step ended
	step     int
}

func (m *Main) demo(ctx context.Context, once bool) error {
	log, closeLog, err := m.openLog(levelAt("warn"))
	if err != nil {
		return err
	}
	defer closeLog()
	dir, err := os.MkdirTemp("", "waxseal-demo-")
	if err != nil {
		return fmt.Errorf("create a folder for the demo: %w", err)
	}
	defer os.RemoveAll(dir)
	d := &demo{m: m, config: filepath.Join(dir, "config.toml"), once: once, last: time.Now()}
	fmt.Fprintln(m.Out, "A program that only knows a password sends and reads mail at a provider that only accepts OAuth 2.0.")
	fmt.Fprintln(m.Out)
	if d.provider, err = providertest.Start(demoProvider); err != nil {
		return fmt.Errorf("start the provider: %w", err)
	}
	defer d.provider.Close()
	d.done("provider", "tokens at %s, SMTP at %s, IMAP at %s", d.provider.TokenURL(), d.provider.SMTPAddr, d.provider.IMAPAddr)

	cfg, err := d.configure(dir)
	if err != nil {
		return err
	}
	listener, err := control.Listen(ctx, d.config)
	if err != nil {
		return err
	}
	defer listener.Close()
	d.server, err = proxy.New(proxy.Options{Config: cfg, ConfigPath: d.config, Secrets: keystore.Memory(), Log: log, LogFile: m.logFile(), Version: versionText()})
	if err != nil {
		return err
	}
	d.client = control.Local(d.server)
	w := work{server: d.server, listener: listener, log: log, ready: d.show}
	if !once && m.hasDisplay() {
		return m.demoDesktop(ctx, d, w)
	}
	return w.run(ctx)
}

// configure writes the configuration as a user would, and reads it.
func (d *demo) configure(dir string) (config.Config, error) {
	ca, err := d.provider.WriteCA(dir)
	if err != nil {
		return config.Config{}, fmt.Errorf("write the provider's certificate: %w", err)
	}
	text := fmt.Sprintf(demoConfig, d.provider.AuthURL(), d.provider.TokenURL(), d.provider.SMTPAddr,
		d.provider.IMAPAddr, d.provider.POPAddr, ca)
	if err := os.WriteFile(d.config, []byte(text), 0o600); err != nil {
		return config.Config{}, fmt.Errorf("write the configuration of the demo: %w", err)
	}
	return config.Load(d.config)
}

// done prints a step and how long it took.
func (d *demo) done(name, format string, args ...any) {
	now := time.Now()
	d.step++
	took := fmt.Sprintf("%.1f ms", float64(now.Sub(d.last).Microseconds())/1000)
	fmt.Fprintf(d.m.Out, "%2d. %-9s %10s  %s\n", d.step, name, took, clean(fmt.Sprintf(format, args...)))
	d.last = now
}

// show goes through the steps, and then reports what else arrives.
func (d *demo) show(ctx context.Context) (done bool, err error) {
	if err := d.steps(ctx); err != nil {
		return true, fmt.Errorf("step %d: %w", d.step+1, err)
	}
	if d.once {
		fmt.Fprintln(d.m.Out, "\nIt works.")
		return true, nil
	}
	settings, err := d.client.MailSettings(ctx, demoAddress, false)
	if err != nil {
		return true, err
	}
	fmt.Fprintln(d.m.Out, "\nTry it with your own mail program. Whatever it sends arrives here and goes no further.")
	fmt.Fprintf(d.m.Out, "Messages to %s are in its inbox, and other messages that it sent are in its folder Elsewhere:\n", demoAddress)
	fmt.Fprintln(d.m.Out)
	printMailSettings(d.m.Out, settings)
	fmt.Fprintf(d.m.Out, "\n`waxseal status --watch --config %s` shows it at work. Press Ctrl-C to stop.\n\n", d.config)
	d.report(ctx, 2)
	return false, nil
}

// report prints what arrives from the nth message on, until ctx ends.
func (d *demo) report(ctx context.Context, n int) {
	for ; d.provider.WaitMessages(ctx, n) == nil; n++ {
		msg := d.provider.Messages()[n-1]
		fmt.Fprintln(d.m.Out, clean(fmt.Sprintf("arrived: from <%s> to %s, %d bytes, SHA-256 %s", msg.From, recipients(msg), msg.Size, msg.SHA256)))
	}
}

// steps sends the first message and reads it.
func (d *demo) steps(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, demoPatience)
	defer cancel()
	d.done("waxseal", "accepts mail on %s", addresses(d.server.Snapshot()))

	password, err := d.client.Add(ctx, api.Account{Address: demoAddress, Provider: "demo", Protocols: api.Protocols}, "")
	if err != nil {
		return err
	}
	d.done("account", "%s, which sends and reads, with its own password for mail programs", demoAddress)

	if err := d.consent(ctx); err != nil {
		return err
	}
	d.done("consent", "given at %s (in a simulated browser)", d.provider.AuthURL())

	sent, err := d.send(ctx, password)
	if err != nil {
		return err
	}
	if err := d.provider.WaitMessages(ctx, 1); err != nil {
		return fmt.Errorf("wait for the message at the provider: %w", err)
	}
	msg := d.provider.Messages()[0]
	if msg.SHA256 != sent {
		return fmt.Errorf("the message changed on its way: SHA-256 %s was sent, %s arrived", sent, msg.SHA256)
	}
	d.done("arrived", "%d bytes for %s, with the same SHA-256 as the message sent", msg.Size, recipients(msg))
	return d.readBack(ctx, password, sent)
}

// consent asks for consent and plays the browser in which the user gives it. A browser does not
// hold up the program that opened it, so this one runs beside the program as well.
func (d *demo) consent(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var browser sync.WaitGroup
	defer browser.Wait()
	_, err := d.server.Authorize(ctx, api.ConsentRequest{Account: api.Account{Address: demoAddress}}, func(p api.Prompt) error {
		if p.URL == "" {
			return nil
		}
		browser.Go(func() {
			if _, err := d.provider.Approve(p.URL, demoAddress); err != nil {
				cancel(fmt.Errorf("the browser failed: %w", err))
			}
		})
		return nil
	})
	if err != nil && ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}

func recipients(msg providertest.Message) string {
	var to []string
	for _, r := range msg.Rcpts {
		to = append(to, "<"+r.To+">")
	}
	return strings.Join(to, ", ")
}
