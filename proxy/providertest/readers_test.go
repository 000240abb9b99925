package providertest

import (
	"os/exec"
	"strconv"
	"strings"
	"testing"
)

const pythonReads = `
import imaplib, poplib, ssl, sys
host, imap, pop, ca, response = sys.argv[1:]
trust = ssl.create_default_context(cafile=ca)
m = imaplib.IMAP4_SSL(host, int(imap), ssl_context=trust)
m.authenticate("XOAUTH2", lambda challenge: b"" if challenge else response.encode())
m.select()
print(m.search(None, "SUBJECT", "plain")[1], m.fetch("2", "(FLAGS BODY.PEEK[])")[1][0][1])
print(m.append("INBOX", "", None, b"Subject: mine\r\n\r\nx")[0], m.logout()[0])
p = poplib.POP3_SSL(host, int(pop), context=trust)
p._shortcmd("AUTH XOAUTH2")
import base64
p._shortcmd(base64.b64encode(response.encode()).decode())
print(p.stat(), p.retr(2)[1], p.uidl()[1], p.quit())
`

// TestPython reads with Python's clients.
func TestPython(t *testing.T) {
	python, err := exec.LookPath("python3")
	if err != nil {
		t.Skip("there is no python3")
	}
	p, ca, token := mailFor(t)
	_, imap, _ := strings.Cut(p.IMAPAddr, ":")
	_, pop, _ := strings.Cut(p.POPAddr, ":")
	out, err := exec.CommandContext(t.Context(), python, "-c", pythonReads, "127.0.0.1", imap, pop, ca, "user="+me+"\x01auth=Bearer "+token+"\x01\x01").CombinedOutput()
	want := `[b'2'] b'Subject: plain\r\n\r\n.dots\r\n..\r\nno end'
OK BYE
(3, 1009) [b'Subject: plain', b'', b'.dots', b'..', b'no end'] [b'1 1-1', b'2 1-2', b'3 1-3'] b'+OK Goodbye'
`
	want = strings.Replace(want, "1009", strconv.Itoa(len(letters[0])+len(letters[1])+18), 1)
	if err != nil || strings.ReplaceAll(string(out), "\r\n", "\n") != want {
		t.Errorf("%v\n%s\nwant\n%s", err, out, want)
	}
}

// TestCurl reads with curl, which knows XOAUTH2 in both protocols.
func TestCurl(t *testing.T) {
	curl, err := exec.LookPath("curl")
	if err != nil {
		t.Skip("there is no curl")
	}
	p, ca, token := mailFor(t)
	for _, url := range []string{"imaps://" + p.IMAPAddr + "/INBOX;MAILINDEX=2", "pop3s://" + p.POPAddr + "/2",
		"imap://" + p.IMAPStartAddr + "/INBOX;MAILINDEX=2", "pop3://" + p.POPStartAddr + "/2"} {
		out, err := exec.CommandContext(t.Context(), curl, "--silent", "--show-error", "--noproxy", "*", "--ssl-reqd", "--cacert", ca,
			"--user", me, "--oauth2-bearer", token, url).CombinedOutput()
		if got := strings.TrimSuffix(string(out), "\r\n"); err != nil || got != letters[1] {
			t.Errorf("%s: %v\n%q", url, err, out)
		}
	}
}

// mailFor starts a provider with two messages.
func mailFor(t *testing.T) (p *Provider, ca, token string) {
	p = start(t, Options{})
	for _, l := range letters {
		p.Deliver(me, []byte(l))
	}
	ca, err := p.WriteCA(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return p, ca, p.accessToken(t, me)
}
