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

// demoAddress is the account of the demonstration.
const demoAddress = "you@demo.example"

// demoPatience bounds each step of the demonstration.
const demoPatience = 20 * time.Second

// demoConfig leads to the provider in this process. Every port is free: the
// demonstration runs beside an instance that works.
const demoConfig = `listen     = ["127.0.0.1:0"]
listen_tls = ["127.0.0.1:0"]
metrics    = "127.0.0.1:0"
keystore   = "memory"

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
ca_file = %q
`

func (m *Main) demoCommand() *cobra.Command {
	var once bool
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Show the whole way of a message, with a provider of its own",
		Long: `Start a mail provider and a Waxseal of its own in this process, give consent,
send a message with a password and see it arrive at the provider, which takes
OAuth 2.0 only. Then stay up, so that a real mail program can be tried, until
Ctrl-C. On a desktop, the tray icon and the window come up instead, and the
account is yours to add. Nothing is kept, and nothing leaves this computer.`,
		Args: exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error { return m.demo(cmd.Context(), once) },
	}
	cmd.Flags().BoolVar(&once, "once", false, "end after the first message")
	return cmd
}

// demo is a demonstration under way.
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
		return fmt.Errorf("make a folder for the demonstration: %w", err)
	}
	defer os.RemoveAll(dir)
	d := &demo{m: m, config: filepath.Join(dir, "config.toml"), once: once, last: time.Now()}
	fmt.Fprintln(m.Out, "A program that knows only a password sends through a provider that takes only OAuth 2.0.")
	fmt.Fprintln(m.Out)
	if d.provider, err = providertest.Start(providertest.Options{ClientID: "waxseal-demo", Rotate: true, DropBodies: true}); err != nil {
		return fmt.Errorf("start the provider: %w", err)
	}
	defer d.provider.Close()
	d.done("provider", "tokens at %s, SMTP at %s", d.provider.TokenURL(), d.provider.SMTPAddr)

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
	text := fmt.Sprintf(demoConfig, d.provider.AuthURL(), d.provider.TokenURL(), d.provider.SMTPAddr, ca)
	if err := os.WriteFile(d.config, []byte(text), 0o600); err != nil {
		return config.Config{}, fmt.Errorf("write the demonstration's configuration: %w", err)
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

// show goes through the steps, then stays to report what else arrives.
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
	fmt.Fprintln(d.m.Out, "\nTry it with a mail program of your own. Whatever it sends arrives here and goes no further:")
	fmt.Fprintln(d.m.Out)
	printMailSettings(d.m.Out, settings)
	fmt.Fprintf(d.m.Out, "\n`waxseal status --watch --config %s` shows it at work. Ctrl-C ends it.\n\n", d.config)
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

// steps are the first message's.
func (d *demo) steps(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, demoPatience)
	defer cancel()
	d.done("waxseal", "accepts mail on %s", addresses(d.server.Snapshot()))

	password, err := d.client.Add(ctx, api.Account{Address: demoAddress, Provider: "demo"}, "")
	if err != nil {
		return err
	}
	d.done("account", "%s, with a password of its own for mail programs", demoAddress)

	if err := d.consent(ctx); err != nil {
		return err
	}
	d.done("consent", "given at %s (the browser is played)", d.provider.AuthURL())

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
	d.done("arrived", "%d bytes for %s, with the SHA-256 of what was sent", msg.Size, recipients(msg))
	return nil
}

// consent asks for it and plays the browser in which it is given. A browser does
// not hold up the program that opened it, so this one runs beside it too.
func (d *demo) consent(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var browser sync.WaitGroup
	defer browser.Wait()
	_, err := d.server.Authorize(ctx, demoAddress, false, func(p api.Prompt) error {
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
