package ui

import (
	"time"

	"github.com/waxseal/waxseal/proxy/api"
)

// changed is a backend with one thing different.
func changed(from func() *fake, change func(*fake)) func() *fake {
	return func() *fake {
		b := from()
		change(b)
		return b
	}
}

// readingOffice is a normal day on which mail programs read with IMAP too.
func readingOffice() *fake {
	b := busyOffice()
	s := &b.snapshot
	for i := range s.Accounts {
		s.Accounts[i].Protocols = []api.Protocol{api.SMTP}
	}
	for i := range s.Accounts[:2] {
		s.Accounts[i].Protocols = []api.Protocol{api.SMTP, api.IMAP}
	}
	s.Accounts[0].Reading = []api.ReadStatus{{Protocol: api.IMAP, State: api.Ready, Sessions: 2, Spare: true, Limit: 20, Logins: 41, Down: 86_300_000, Up: 912_000, LastLogin: noon.Add(-4 * time.Minute)}}
	s.Accounts[1].Reading = []api.ReadStatus{{Protocol: api.IMAP, State: api.Ready, Sessions: 1, Limit: 15, Logins: 9, Down: 4_100_000, Up: 88_000, LastLogin: noon.Add(-51 * time.Minute)}}
	s.Clients = 8
	s.Reading = []api.ReadGauges{{Protocol: api.IMAP, Connections: 4, Sessions: 3, Spares: 1, Logins: 50, Down: 90_400_000, Up: 1_000_000,
		Ended: map[api.EndedBy]int64{api.ByProgram: 31, api.ByProvider: 15, api.ByNetwork: 1}}}
	s.Breakers = append(s.Breakers, api.Breaker{Name: "imap outlook.office365.com:993", Provider: "Microsoft 365", Mail: true, Protocol: api.IMAP, State: api.Closed})
	b.mail.Servers = append(b.mail.Servers, api.MailServer{Protocol: api.IMAP, Host: "127.0.0.1", Port: 1143}, api.MailServer{Protocol: api.IMAP, Host: "127.0.0.1", Port: 1993, TLS: true})
	b.prospects[0].There, b.prospects[1].There = true, true
	ended := func(id uint64, min int, account string, by api.EndedBy, took time.Duration, said string, down, up int64) api.Activity {
		return api.Activity{ID: id, Seq: id, Kind: api.Reading, Protocol: api.IMAP, Time: noon.Add(-time.Duration(min) * time.Minute), Session: "e" + string(rune('0'+id-10)), Account: account,
			Ended: by, Took: took, Reply: said, Down: down, Up: up}
	}
	b.activity = append(b.activity,
		ended(10, 1, "ada.lovelace@gmail.com", api.ByProgram, 14*time.Minute, "* BYE LOGOUT Requested", 1_900_000, 6_100),
		ended(11, 1, "ada@corp.example", api.ByProvider, 56*time.Minute, "* BYE Session invalidated - AccessTokenExpired", 22_400_000, 61_000),
		ended(12, 0, "ada@corp.example", api.ByNetwork, 31*time.Minute, "", 3_100_000, 9_000))
	s.LastActivity = 12
	return b
}

// readingEverything is an office that reads with POP too.
func readingEverything() *fake {
	b := readingOffice()
	s := &b.snapshot
	for i := range s.Accounts[:2] {
		s.Accounts[i].Protocols = api.Protocols
		s.Accounts[i].Reading = append(s.Accounts[i].Reading, api.ReadStatus{Protocol: api.POP, State: api.Unused})
	}
	s.Reading = append(s.Reading, api.ReadGauges{Protocol: api.POP})
	b.mail.Servers = append(b.mail.Servers, api.MailServer{Protocol: api.POP, Host: "127.0.0.1", Port: 1110}, api.MailServer{Protocol: api.POP, Host: "127.0.0.1", Port: 1995, TLS: true})
	return b
}

// ailReading gives one of an account's protocols for reading a problem.
func ailReading(b *fake, account, reading int, p *api.Problem) {
	r := &b.snapshot.Accounts[account].Reading[reading]
	r.State, r.Problem, r.Sessions, r.Spare = p.State, p, 0, false
}

func readingNotGranted(account string) *api.Problem {
	return problem(api.ReadingNotGranted, account, "", "{{.Account}}: mail programs can’t read mail from {{.Provider}} at the moment.", "NO AUTHENTICATE failed.",
		"Sign in again.")
}

func readingDisabled(account string) *api.Problem {
	return problem(api.ReadingDisabled, account, "", "{{.Account}}: mail programs can’t read mail from {{.Provider}} at the moment.", "NO [ALERT] IMAP access is disabled for your domain.",
		"Ask an administrator to enable it.")
}

// stepsOf shows the steps for a program.
func stepsOf(program int) func(*stage) {
	return func(s *stage) {
		p := s.w.pages["setup"].(*setup)
		p.steps.choice.choose(program)
		reveal(p.scroll.bar, p.steps.root)
		p.scroll.bar.ScrollToOffset(p.scroll.bar.Offset.AddXY(0, 300))
	}
}
