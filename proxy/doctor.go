package proxy

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"os"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/waxseal/waxseal/keystore"
	"github.com/waxseal/waxseal/keystore/safeio"
	"github.com/waxseal/waxseal/proxy/api"
	"github.com/waxseal/waxseal/proxy/config"
	"github.com/waxseal/waxseal/proxy/upstream"
)

// Doctor looks at everything that must work for mail to flow: keystore,
// listeners, and for each account network, token and login. It hands on each
// check as it ends and returns how many failed.
func (s *Server) Doctor(ctx context.Context, report func(api.Check)) (failed int) {
	c := &checker{ctx: ctx, report: report}
	c.run("version", nil, func(context.Context) (string, error) {
		return fmt.Sprintf("Waxseal %s, %s/%s", s.opts.Version, runtime.GOOS, runtime.GOARCH), nil
	})
	c.run("configuration", nil, s.checkConfig)
	c.run("keystore", nil, s.checkKeystore)
	c.run("ports", nil, s.checkPorts)
	c.run("crashes", nil, s.checkCrash)
	snap := s.Snapshot()
	if len(snap.Accounts) == 0 {
		c.run("accounts", nil, func(context.Context) (string, error) {
			return "there is no account yet; `waxseal account add ADDRESS` adds one", nil
		})
	}
	reached := map[string]bool{}
	for _, a := range snap.Accounts {
		box := s.mailbox(a.Address)
		if box == nil || ctx.Err() != nil {
			continue
		}
		for _, endpoint := range []string{config.HostOf(box.provider.TokenURL), box.provider.SMTP} {
			if endpoint != "" && !reached[endpoint] {
				reached[endpoint] = true
				c.run("reach "+endpoint, box, func(ctx context.Context) (string, error) { return s.reach(ctx, endpoint) })
			}
		}
		s.checkAccount(c, box)
	}
	return c.failed
}

func (s *Server) checkAccount(c *checker, box *mailbox) {
	if box.provider.ClientID == "" {
		c.run("registration of "+box.address, box, func(context.Context) (string, error) {
			return "", &finding{box.providerName() + " does not know this program: there is no client_id", "register it as docs/providers.md says, and set client_id of the provider in the configuration"}
		})
		return
	}
	ok := c.run("local password of "+box.address, box, func(ctx context.Context) (string, error) {
		err := box.password.load(ctx, s.secrets, box.address)
		if errors.Is(err, keystore.ErrNotFound) {
			err = &finding{"there is none", "`waxseal account password " + box.address + " --new` makes one"}
		}
		return "is in the keystore", err
	})
	ok = c.run("token of "+box.address, box, box.tokenCheck) && ok
	if ok {
		c.run("login of "+box.address, box, box.loginCheck)
	}
}

func (b *mailbox) tokenCheck(ctx context.Context) (string, error) {
	token, err := b.grant.Token(ctx)
	return "good until " + token.Expiry.Format(time.RFC3339), err
}

func (b *mailbox) loginCheck(ctx context.Context) (string, error) {
	err := b.pool.Check(ctx)
	b.note(err)
	return b.provider.SMTP + " accepts the token", err
}

// checkConfig reads the file again: an instance that runs goes on with what it
// had when the file was changed by hand, and can add no account to a file that it
// may not write.
func (s *Server) checkConfig(context.Context) (string, error) {
	path := s.opts.ConfigPath
	if path == "" {
		return "there is no file", nil
	}
	cfg, err := config.Load(path)
	if err != nil {
		return "", &finding{strings.ReplaceAll(err.Error(), "\n", " / "), "correct the file; until then what was read before stays in use"}
	}
	if _, err := safeio.Writable(path); err != nil {
		return "", &finding{path + " cannot be written (" + err.Error() + ")", "let this user write it, or accounts can be neither added nor removed"}
	}
	was := s.config()
	same := func(a, b config.Provider) bool { return reflect.DeepEqual(a, b) }
	if !slices.Equal(was.Accounts, cfg.Accounts) || !slices.EqualFunc(was.Providers, cfg.Providers, same) {
		return "", &finding{path + " has changed since it was read", "have the running Waxseal read it: `waxseal reload`, SIGHUP, or a new start"}
	}
	return fmt.Sprintf("%s: %d accounts, %d own providers", path, len(cfg.Accounts), len(cfg.Providers)), nil
}

// checkCrash looks whether a crash has left a report that is still there.
func (s *Server) checkCrash(context.Context) (string, error) {
	info, err := os.Stat(s.opts.LastCrash)
	if s.opts.LastCrash == "" || err != nil {
		return "none", nil
	}
	return "", &finding{fmt.Sprintf("Waxseal crashed on %s; the report is %s", info.ModTime().Format(time.RFC3339), s.opts.LastCrash),
		"send the report to Waxseal's authors (it holds no secret), then delete it"}
}

// checkKeystore writes, reads and deletes a secret of no value.
func (s *Server) checkKeystore(ctx context.Context) (string, error) {
	key := "doctor/" + rand.Text() // of this check alone: others of the user's may run now
	want := rand.Text()
	if err := s.secrets.Set(ctx, key, want); err != nil {
		return "", err
	}
	got, err := s.secrets.Get(ctx, key)
	if err != nil {
		return "", err
	}
	if got != want {
		return "", &finding{"it gives back something else than was stored", "choose another one with --keystore"}
	}
	result := s.secrets.Kind() + ": stores and reads"
	if w := s.secrets.Warning(); w != "" {
		result += "; warning: " + w
	}
	return result, s.secrets.Delete(ctx, key)
}

// checkPorts tells where this server listens or, when it does not serve,
// whether it could.
func (s *Server) checkPorts(ctx context.Context) (string, error) {
	if state := s.state(); state == "serving" || state == "paused" {
		return "listening on " + s.addressList(), nil
	}
	cfg := s.config()
	var free []string
	addresses := slices.Concat(cfg.Listen, cfg.ListenTLS)
	if cfg.Metrics != "" {
		addresses = append(addresses, cfg.Metrics)
	}
	for _, addr := range addresses {
		l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", addr)
		if err != nil {
			return "", &finding{portError(addr, err).Error(), "end the other program, or change listen, listen_tls or metrics"}
		}
		l.Close()
		free = append(free, addr)
	}
	return "not running; free: " + strings.Join(free, ", "), nil
}

// reach looks a host up and opens a connection to it, as mail and tokens go there.
func (s *Server) reach(ctx context.Context, hostport string) (string, error) {
	conn, err := upstream.Dial(ctx, &net.Dialer{}, s.outbound.proxy, hostport)
	var dns *net.DNSError
	var via *upstream.ProxyError
	switch {
	case errors.As(err, &via):
		return "", &finding{"no way through " + via.Error(), proxyCure}
	case errors.As(err, &dns):
		return "", &finding{"the name " + dns.Name + " cannot be looked up", "check the network and its DNS"}
	case err != nil:
		return "", &finding{"no connection", "check the network, and that a firewall lets " + hostport + " through"}
	}
	defer conn.Close()
	return "answers at " + conn.RemoteAddr().String(), nil
}
