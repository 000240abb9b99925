package ui

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"fyne.io/fyne/v2/test"

	"github.com/waxseal/waxseal/proxy/api"
)

// One click checks everything and saves the report.
func TestSaveReport(t *testing.T) {
	b := busyOffice()
	b.checks = []api.Check{*failed(api.CheckReach, "smtp.gmail.com:465", notReached("smtp.gmail.com:465"), time.Second).Check}
	y := story{page: Page{Name: "check"}, backend: func() *fake { return b }}
	s := y.stage(t, staging{})
	p := s.w.pages["check"].(*checkPage)
	var text string
	s.w.options.SaveReport = func(_ context.Context, checks string) (string, error) {
		text = checks
		return "/home/me/report.txt", nil
	}
	test.Tap(p.report)
	s.until("it is saved", func() bool { return p.saved.Visible() })
	if p.saved.Text != "The report is /home/me/report.txt." || !strings.Contains(text, "smtp.gmail.com:465") {
		t.Errorf("says %q, the report is %q", p.saved.Text, text)
	}
	s.w.options.SaveReport = func(context.Context, string) (string, error) { return "", fmt.Errorf("disk full") }
	test.Tap(p.report)
	s.until("it says why not", func() bool { return p.saved.Text == "Disk full." })
}

// With many accounts the verdict is on top, the page counts, and only failures are listed.
func TestDiagnosticsOfManyAccounts(t *testing.T) {
	b := many(200)
	for i, a := range b.snapshot.Accounts {
		if i%50 == 4 {
			b.checks = append(b.checks, *failed(api.CheckToken, a.Address, consentExpired(a.Address), 0).Check)
			continue
		}
		b.checks = append(b.checks, api.Check{Name: api.CheckToken, Subject: a.Address, OK: true}, api.Check{Name: api.CheckLogin, Subject: a.Address, OK: true})
	}
	s := (story{page: Page{Name: "check"}, backend: func() *fake { return b }}).stage(t, staging{})
	p := s.w.pages["check"].(*checkPage)
	p.begin()
	var said []string
	s.until("all is checked", func() bool { said = append(said, p.checks.now.Text); return p.verdict.Visible() })
	if p.verdict.Text != "4 checks failed." || p.checks.passed.Text != "392 checks passed." || len(p.checks.done.Objects) != 4 {
		t.Errorf("%q, %q, %d lines", p.verdict.Text, p.checks.passed.Text, len(p.checks.done.Objects))
	}
	if p.verdict.Position().Y > p.checks.done.Position().Y {
		t.Error("the verdict is below the checks")
	}
	p.begin()
	p.add(b.checks[0])
	if got := p.checks.now.Text; got != "Checked 1 of 200 accounts…" {
		t.Errorf("the progress is %q", got)
	}
}

// The accounts that need somebody come first, and stay while the pointer is on them.
func TestAccountsThatNeedSomebodyComeFirst(t *testing.T) {
	b := many(40)
	s := newStage(t, b, staging{})
	s.shows()
	o := s.w.pages["overview"].(*overview)
	first := func() string { return o.all[0].Address }
	if first() != "user0004@corp.example" {
		t.Errorf("%s comes first", first())
	}
	o.rows.shown[1].(*accountRow).MouseIn(nil)
	b.snapshot.Accounts[4].State, b.snapshot.Accounts[4].Problem = api.Ready, nil
	s.shows()
	if first() != "user0004@corp.example" {
		t.Errorf("below the pointer %s comes first now", first())
	}
	o.rows.shown[1].(*accountRow).MouseOut()
	s.shows()
	if first() != "user0013@corp.example" {
		t.Errorf("then %s comes first", first())
	}
}

// BenchmarkTwoHundredAccounts is one search among 200 accounts, and the drawing of it.
func BenchmarkTwoHundredAccounts(b *testing.B) {
	s := newStage(b, many(200), staging{})
	s.shows()
	o := s.w.pages["overview"].(*overview)
	for i := 0; b.Loop(); i++ {
		o.search.SetText(fmt.Sprintf("user%04d", i%200))
		s.shows()
	}
}
