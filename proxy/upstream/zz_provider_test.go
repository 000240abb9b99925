package upstream

import (
	"strings"
	"testing"

	"github.com/waxseal/waxseal/proxy/oauth"
	"github.com/waxseal/waxseal/proxy/providertest"
	"github.com/waxseal/waxseal/keystore"
	"github.com/emersion/go-smtp"
)

func TestProvider(t *testing.T) {
	for _, o := range []providertest.Options{{}, {NoChunking: true}, {NoPipelining: true}, {TokenSize: 3000}, {TokenSize: 3000, Mechanisms: []string{"OAUTHBEARER"}}, {NoChunking: true, NoPipelining: true, NoDSN: true, NoUTF8: true, No8BitMIME: true}, {MaxConnections: 3}} {
		p, err := providertest.Start(o)
		if err != nil {
			t.Fatal(err)
		}
		defer p.Close()
		for _, d := range []struct {
			addr string
			m    TLSMode
		}{{p.SMTPAddr, StartTLS}, {p.SMTPSAddr, Implicit}, {p.PlainAddr, NoTLS}} {
			g := oauth.New(oauth.Config{ClientID: "x", TokenURL: p.TokenURL()}, "me@corp.test", oauth.Deps{Secrets: keystore.Memory()})
			if _, err := g.Accept(t.Context(), p.Grant("me@corp.test")); err != nil {
				t.Fatal(err)
			}
			pool := New(Config{Addr: d.addr, TLS: d.m, RootCAs: p.Pool(), Login: "me@corp.test", Tokens: g})
			if err := pool.Check(t.Context()); err != nil {
				t.Fatal(o, d.m, err)
			}
			for i := range 3 {
				if i == 2 {
					p.ExpireAccess("me@corp.test")
					pool.Drop()
				}
				tx, err := pool.Begin(t.Context(), "me@corp.test", &smtp.MailOptions{Body: smtp.Body8BitMIME, Return: smtp.DSNReturnFull})
				if err != nil {
					t.Fatal(err)
				}
				r, err := tx.Rcpt(t.Context(), []Recipient{{To: "a@x.test", Opts: &smtp.RcptOptions{Notify: []smtp.DSNNotify{"NEVER"}}}, {To: "a b@x.test"}})
				t.Log(r, err)
				rep, err := tx.Data(t.Context(), strings.NewReader(strings.Repeat("hello\r\n..x\r\n", 1+i*20000)))
				if err != nil || !rep.ok() {
					t.Error(rep, err)
				}
				t.Log(rep)
				tx.Close()
			}
			pool.Close(t.Context())
		}
		p.Close()
		for _, m := range p.Messages() {
			t.Logf("%+v %v %d %v", m.From, m.Rcpts, m.Size, m.Chunked)
		}
	}
}
