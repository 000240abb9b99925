package api

import "testing"

// An account is as badly off as the worst of what it does.
func TestOverall(t *testing.T) {
	read := func(states ...State) (list []ReadStatus) {
		for i, s := range states {
			list = append(list, ReadStatus{Protocol: Protocols[i+1], State: s, Problem: &Problem{State: s}})
		}
		return list
	}
	for name, tc := range map[string]struct {
		account  AccountStatus
		state    State
		protocol Protocol
	}{
		"sends only":                  {AccountStatus{State: Ready}, Ready, SMTP},
		"all well":                    {AccountStatus{State: Ready, Reading: read(Unused, Ready)}, Ready, SMTP},
		"reads, never sent":           {AccountStatus{State: Unused, Reading: read(Ready)}, Ready, IMAP},
		"reading fails":               {AccountStatus{State: Ready, Reading: read(Ready, ReadingDisabled)}, ReadingDisabled, POP},
		"both fail":                   {AccountStatus{State: NeedsConsent, Reading: read(NeedsConsent)}, NeedsConsent, SMTP},
		"sending waits, reading ends": {AccountStatus{State: MailServerDown, Reading: read(ReadingNotGranted)}, ReadingNotGranted, IMAP},
	} {
		state, problem, protocol := tc.account.Overall()
		if state != tc.state || protocol != tc.protocol || protocol != SMTP && problem.State != state {
			t.Errorf("%s: %s of %s, want %s of %s", name, state, protocol, tc.state, tc.protocol)
		}
		if trouble := tc.account.Trouble(); trouble.State != state && tc.account.Severity() >= Passing {
			t.Errorf("%s: the trouble is %+v", name, trouble)
		}
	}
}
