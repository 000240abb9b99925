//go:build e2e

package e2e

import (
	"encoding/base64"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
)

// generated returns messages that differ in what is easily changed on the way: 8-bit text, bytes that
// are not UTF-8, long lines, dots, attachments, no header, no body. None has a NUL (RFC 9051 section
// 4.3), and all lines end in CRLF.
func generated(n int) (messages []string) {
	bodies := []func(*rand.Rand) string{
		func(*rand.Rand) string { return "plain text\n" },
		func(*rand.Rand) string { return ".\n..\n.dots\nGrüße, 世界\n" },
		func(*rand.Rand) string { return "not UTF-8: \xff\xfe\xa4\n\n\n" },
		func(r *rand.Rand) string { return strings.Repeat("long ", 2000+r.IntN(10_000)) + "\n" },
		func(*rand.Rand) string { return "From here on\n>From there\n+ go\n* OK\nt1 OK done\n" },
		func(r *rand.Rand) string { return "{17}\n" + strings.Repeat("x", r.IntN(300)) + "\n" },
		func(*rand.Rand) string { return "" },
	}
	for i := range n {
		r := rand.New(rand.NewPCG(1, uint64(i)))
		head := fmt.Sprintf("From: Ann <ann@mail.test>\nTo: Bob <bob@mail.test>\nSubject: =?utf-8?q?number_%d_=C3=BC?=\n"+
			"Date: Mon, 02 Nov 2026 10:%02d:%02d +0000\nMessage-ID: <%d@generated.test>\nMIME-Version: 1.0\n", i, i/60%60, i%60, i)
		if i%len(bodies) == 3 {
			head += "X-Long:" + strings.Repeat(" word", 180) + "\n"
		}
		if i%10 != 9 {
			messages = append(messages, crlf(head+"Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 8bit\n\n"+bodies[i%len(bodies)](r)))
			continue
		}
		data := make([]byte, 1000+r.IntN(300_000))
		for j := range data {
			data[j] = byte(r.Uint32())
		}
		messages = append(messages, crlf(head+"Content-Type: multipart/mixed; boundary=cut\n\n--cut\nContent-Type: text/plain\n\nwith a file\n"+
			"--cut\nContent-Type: application/octet-stream\nContent-Disposition: attachment; filename=data\nContent-Transfer-Encoding: base64\n\n"+
			wrapped(base64.StdEncoding.EncodeToString(data))+"--cut--\n"))
	}
	return messages
}

// wrapped breaks a text into lines of 76 characters.
func wrapped(s string) string {
	var b strings.Builder
	for len(s) > 76 {
		b.WriteString(s[:76] + "\n")
		s = s[76:]
	}
	return b.String() + s + "\n"
}

func crlf(s string) string { return strings.ReplaceAll(s, "\n", "\r\n") }

// direct logs in to the mail server itself.
func direct(t *testing.T, user string) *imapClient {
	t.Helper()
	c := dialIMAP(t, peers.direct.imap, "")
	c.do("LOGIN " + quoted(user) + " " + directPassword)
	return c
}

// filled puts messages into a user's mailboxes: most into INBOX with different flags, every fifth into
// Archive.
func filled(t *testing.T, user string, messages []string) {
	t.Helper()
	c := direct(t, user)
	flags := []string{"", `\Seen`, `\Flagged`, `\Seen \Answered`, `\Draft`}
	for i, m := range messages {
		mailbox := "INBOX"
		if i%5 == 4 {
			mailbox = "Archive"
		}
		c.append(mailbox, flags[i/2%len(flags)], m)
	}
	c.logout()
}
