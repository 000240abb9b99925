package proxy

import (
	"context"
	"crypto/rand"
	"errors"
	"io/fs"
	"net"
	"os"
	"reflect"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/waxseal/waxseal/keystore"
	"github.com/waxseal/waxseal/proxy/api"
	"github.com/waxseal/waxseal/proxy/config"
	"github.com/waxseal/waxseal/proxy/dial"
	"github.com/waxseal/waxseal/proxy/machine"
	"github.com/waxseal/waxseal/proxy/mailbox"
)

// accountsAtOnce is how many accounts Doctor checks at the same time: enough that 200 of them
// take no longer than a few slow ones, and few enough for a provider and its limits.
const accountsAtOnce = 8

// Doctor checks everything that must work before mail can be sent: the keystore, the
// listeners, and for each account network, token and login. It reports each check as it
// ends; those of one account stay together. It never calls report twice at the same time, and
// returns how many checks failed.
func (s *Server) Doctor(ctx context.Context, report func(api.Check)) (failed int) {
	c := &checker{ctx: ctx, report: report}
	c.run(api.CheckVersion, "", nil, func(context.Context) (finding, error) {
		return found("Waxseal {{.Version}}, {{.System}}", "Version", s.opts.Version, "System", runtime.GOOS+"/"+runtime.GOARCH), nil
	})
	c.run(api.CheckConfig, "", nil, s.checkConfig)
	c.run(api.CheckKeystore, "", nil, s.checkKeystore)
	if s.shared != nil {
		c.run(api.CheckEtcd, "", nil, s.checkFleet)
	}
	c.run(api.CheckPorts, "", nil, s.checkPorts)
	if own := s.cert.own.Load(); own != nil {
		c.run(api.CheckCertificate, "", nil, func(context.Context) (finding, error) { return s.checkCertificate(own) })
	}
	if len(s.config().ProxyProtocol.From) > 0 {
		c.run(api.CheckBalancers, "", nil, s.checkBalancers)
	}
	c.run(api.CheckCrashes, "", nil, s.checkCrash)
	snap := s.Snapshot()
	if len(snap.Accounts) == 0 {
		c.run(api.CheckAccounts, "", nil, func(context.Context) (finding, error) {
			return found("There is no account yet. Add one in the window, or with `waxseal account add ADDRESS`."), nil
		})
	}
	var rounds []func(*checker)
	reached := map[string]bool{}
	for _, a := range snap.Accounts {
		box := s.hall.Mailbox(a.Address)
		if box == nil {
			continue
		}
		endpoints := []string{config.HostOf(box.Provider.TokenURL)}
		for _, p := range box.Account.Does() {
			endpoints = append(endpoints, box.Addr(p))
		}
		for _, endpoint := range endpoints {
			if endpoint != "" && !reached[endpoint] {
				reached[endpoint] = true
				rounds = append(rounds, func(c *checker) {
					c.run(api.CheckReach, endpoint, box, func(ctx context.Context) (finding, error) { return s.reach(ctx, endpoint) })
				})
			}
		}
		rounds = append(rounds, func(c *checker) { s.checkAccount(c, box) })
	}
	c.each(accountsAtOnce, rounds)
	return c.failed
}

func (s *Server) checkAccount(c *checker, box *mailbox.Mailbox) {
	if box.Provider.ClientID == "" {
		c.run(api.CheckRegistration, box.Address, box, func(context.Context) (finding, error) {
			return finding{}, mailbox.NotRegistered(box)
		})
		return
	}
	ok := c.run(api.CheckPassword, box.Address, box, func(ctx context.Context) (finding, error) {
		err := box.Password.Load(ctx, s.secrets, box.Address)
		if errors.Is(err, keystore.ErrNotFound) {
			err = mailbox.NoPassword(box.Address)
		}
		return found("It is in the keystore."), err
	})
	ok = c.run(api.CheckToken, box.Address, box, tokenCheck(box)) && ok
	if ok {
		s.tryLogins(c, box)
	}
}

// tryLogins checks that the provider lets the account in, for each thing that it does.
func (s *Server) tryLogins(c *checker, box *mailbox.Mailbox) {
	if box.Account.Uses(api.SMTP) {
		c.runFor(sending(box), api.CheckLogin, box.Address, box, loginCheck(box))
	}
	for _, p := range box.Account.Does() {
		if p.Reads() {
			c.runFor(p, api.CheckLogin, box.Address, box, s.readCheck(box, p))
		}
	}
}

// sending is the protocol of a check for sending, "" if the account does nothing else.
func sending(b *mailbox.Mailbox) api.Protocol {
	if len(b.Account.Does()) > 1 {
		return api.SMTP
	}
	return ""
}

// tokenCheck checks that there is an access token.
func tokenCheck(b *mailbox.Mailbox) func(context.Context) (finding, error) {
	return func(ctx context.Context) (finding, error) {
		token, err := b.Grant.Token(ctx)
		f := found("Valid until {{.Time}}", "Time", token.Expiry.Format(time.RFC3339))
		f.until = token.Expiry
		return f, err
	}
}

// loginCheck checks that the mail server for sending accepts the token.
func loginCheck(b *mailbox.Mailbox) func(context.Context) (finding, error) {
	return func(ctx context.Context) (finding, error) {
		err := b.Pool.Check(ctx)
		b.Note(err)
		return found("{{.Server}} accepts the access token.", "Server", b.Provider.SMTP), err
	}
}

// checkConfig reads the file again, since a running instance does not notice that the
// file was edited by hand, and checks that accounts can be written to it.
func (s *Server) checkConfig(context.Context) (finding, error) {
	path := s.opts.ConfigPath
	if path == "" {
		return found("There is no configuration file."), nil
	}
	cfg, err := config.Load(path)
	if err != nil {
		return finding{}, configMistakes(err)
	}
	if err := s.checkWritable(); err != nil {
		return finding{}, err
	}
	if cfg, err = s.withShared(cfg); err != nil {
		return finding{}, err
	}
	was := s.config()
	same := func(a, b config.Provider) bool { return reflect.DeepEqual(a, b) }
	if !slices.EqualFunc(was.Accounts, cfg.Accounts, api.Account.Equal) || !slices.EqualFunc(was.Providers, cfg.Providers, same) {
		return finding{}, &api.Problem{Lasting: true, What: api.Say("{{.File}} has changed since it was read.", "File", path),
			Cure: api.Say("Have Waxseal read it again, or restart Waxseal."), Do: api.ReadAgain}
	}
	return found("{{.File}}: accounts: {{.Accounts}}, providers of your own: {{.Providers}}", "File", path,
		"Accounts", strconv.Itoa(len(cfg.Accounts)), "Providers", strconv.Itoa(len(cfg.Providers))), nil
}

// configMistakes is the problem of a configuration file that cannot be used. err names each
// mistake on a line of its own.
func configMistakes(err error) error {
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission) {
		return &api.Problem{Lasting: true, What: api.Say("The configuration file can’t be read: {{.Why}}", "Why", err.Error()),
			Cure: api.Say("Until it can be read, Waxseal keeps using what it read before."), Do: api.ReadAgain}
	}
	return &api.Problem{Lasting: true, What: api.Say("The configuration file has mistakes: {{.Why}}", "Why", strings.ReplaceAll(err.Error(), "\n", " / ")),
		Cure: api.Say("Correct the file. Until then Waxseal keeps using what it read before."), Do: api.ReadAgain}
}

// checkCrash checks for the report of a crash.
func (s *Server) checkCrash(context.Context) (finding, error) {
	info, err := os.Stat(s.opts.LastCrash)
	if s.opts.LastCrash == "" || err != nil {
		return found("None."), nil
	}
	return finding{}, &api.Problem{Lasting: true,
		What: api.Say("Waxseal crashed on {{.Time}}. The report is {{.File}}.", "Time", info.ModTime().Format(time.RFC3339), "File", s.opts.LastCrash),
		Cure: api.Say("Send the report to Waxseal’s authors (it holds no secret), then delete it.")}
}

// checkKeystore writes, reads and deletes a test secret.
func (s *Server) checkKeystore(ctx context.Context) (finding, error) {
	key := "doctor/" + rand.Text() // unique: other checks of this user may be running now
	want := rand.Text()
	if err := s.secrets.Set(ctx, key, want); err != nil {
		return finding{}, err
	}
	got, err := s.secrets.Get(ctx, key)
	if err != nil {
		return finding{}, err
	}
	if got != want {
		return finding{}, &api.Problem{State: api.KeystoreFailed, Lasting: true, What: api.Say("The keystore returned something other than what was stored."), Cure: api.Say("Choose another keystore.")}
	}
	return found("Stores and reads secrets ({{.Kind}}).", "Kind", s.secrets.Kind()), s.secrets.Delete(ctx, key)
}

// checkPorts says where this server listens or, if it does not serve, whether it could.
func (s *Server) checkPorts(ctx context.Context) (finding, error) {
	if state := s.state(); state == api.Serving || state == api.Paused || state == api.Draining {
		return found("Listening on {{.Addresses}}", "Addresses", s.addressList()), nil
	}
	cfg := s.config()
	var free []string
	for _, addr := range cfg.Addresses() {
		l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", addr)
		if err != nil {
			return finding{}, portProblem(addr, err)
		}
		l.Close()
		free = append(free, addr)
	}
	return found("Not running. Free: {{.Addresses}}", "Addresses", strings.Join(free, ", ")), nil
}

// portProblem is the failed check of an address that cannot be listened on.
func portProblem(addr string, err error) error {
	err = machine.PortError(addr, err)
	taken, ok := errors.AsType[*api.PortTakenError](err)
	if !ok {
		return err
	}
	return &api.Problem{Lasting: true, What: taken.Text(), Cure: taken.Remedy(), Do: api.OpenSetting}
}

// reach looks up a host and connects to it, the same way as for mail and tokens.
func (s *Server) reach(ctx context.Context, hostport string) (finding, error) {
	conn, err := dial.TCP(ctx, s.outbound.For, hostport)
	var dns *net.DNSError
	var via *dial.ProxyError
	problem := func(what, cure string, pairs ...string) (finding, error) {
		return finding{}, &api.Problem{What: api.Say(what, pairs...), Cure: api.Say(cure)}
	}
	switch {
	case errors.As(err, &via):
		return problem("There is no way through the proxy: {{.Why}}", mailbox.ProxyCure, "Why", via.Error())
	case err != nil && mailbox.Offline(err) != nil:
		return finding{}, mailbox.Offline(err)
	case errors.As(err, &dns):
		return problem("The name {{.Host}} can’t be looked up.", "Check the network and its DNS.", "Host", dns.Name)
	case err != nil:
		return problem("{{.Host}} can’t be reached.", "Check the network, and that no firewall blocks the connection.", "Host", hostport)
	}
	defer conn.Close()
	return found("Reachable at {{.Address}}", "Address", conn.RemoteAddr().String()), nil
}
