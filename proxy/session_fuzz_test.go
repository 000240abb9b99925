package proxy

import (
	"bytes"
	"io"
	"net"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/waxseal/waxseal/proxy/mailbox"
	"github.com/waxseal/waxseal/proxy/providertest"
)

var (
	replyLine = regexp.MustCompile(`^[2-5][0-9][0-9][ -][^\x00-\x1f\x7f]*$`)
	delivered = regexp.MustCompile(`(?m)^250 2\.0\.0 OK wx[0-9]+ queued`)
)

// FuzzSession plays whole dialogues of a mail program through the server to a provider. Whatever the
// program sends, every reply is well-formed, no connection hangs or panics, the gauges return to 0, and
// as many messages arrive as were acknowledged. Without chunking the provider has only DATA and accepts
// bare line ends, as those do that are open to smuggling.
func FuzzSession(f *testing.F) {
	tx := "MAIL FROM:<" + me + ">\r\nRCPT TO:<a@b.test>\r\n"
	login := "EHLO x\r\nAUTH PLAIN " + plainResponse(me, password) + "\r\n"
	for _, seed := range []string{
		login + tx + "DATA\r\nhello\r\n.\r\nQUIT\r\n",
		login + tx + "BDAT 3\r\nabcBDAT 2 LAST\r\nde" + tx + "BDAT 0 LAST\r\n",
		login + tx + "RSET\r\n" + tx + "DATA\r\n..a\r\n.\r\nNOOP\r\nVRFY a\r\nHELP\r\n",
		"EHLO x\r\nAUTH LOGIN\r\nbWVAY29ycC50ZXN0\r\nbG9jYWwtcGFzc3dvcmQtMQ==\r\n" + tx + "DATA\r\n.\r\n",
		"EHLO x\r\nAUTH PLAIN\r\n*\r\nAUTH PLAIN =\r\nSTARTTLS\r\nNOOP\r\n",
		"HELO x\r\n" + tx + "DATA\r\nBDAT 5\r\nhello",
		login + "MAIL FROM:<a\rb@c> AUTH=<x+0D+0Ay> ENVID=a+0Db RET=FULL SIZE=9 BODY=8BITMIME SMTPUTF8\r\n",
		login + tx + "DATA\r\nfirst\n.\r\nMAIL FROM:<evil@corp.test>\r\nRCPT TO:<v@b.test>\r\nDATA\r\nsmuggled\r\n.\r\n",
		login + tx + "BDAT 4294967295\r\nx", "\x16\x03\x01\x00\x05hello", "BDAT 5" + strings.Repeat(" ", 5000),
	} {
		f.Add([]byte(seed), true)
		f.Add([]byte(seed), false)
	}
	rigs := map[bool]*rig{
		true:  newRig(f, rigOptions{provider: providertest.Options{CountOnly: true}}),
		false: newRig(f, rigOptions{provider: providertest.Options{CountOnly: true, NoChunking: true, Lax: true}}),
	}
	f.Fuzz(func(t *testing.T, dialogue []byte, chunking bool) {
		if bytes.Count(bytes.ToUpper(dialogue), []byte("AUTH")) > mailbox.FreeGuesses {
			t.Skip() // wrong passwords wait, which is tested elsewhere
		}
		playFuzzed(t, rigs[chunking], dialogue)
	})
}

func playFuzzed(t *testing.T, r *rig, dialogue []byte) {
	if len(r.server.hall.Suspects()) > 0 { // wrong passwords of the last run would slow this one
		c, err := net.Dial("tcp", r.plain)
		if err != nil {
			t.Fatal(err)
		}
		newProgram(t, c).auth(me, password)
		c.Close()
	}
	before := r.provider.Counts().Messages
	c, err := net.Dial("tcp", r.plain)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(patience))
	sent := make(chan struct{})
	go func() {
		defer close(sent)
		c.Write(dialogue) // fails when the server has said its last word
		c.(*net.TCPConn).CloseWrite()
	}()
	said, err := io.ReadAll(c)
	if nerr, ok := err.(net.Error); ok && nerr.Timeout() {
		t.Fatalf("the connection hangs; it said %q", said)
	}
	<-sent
	said = bytes.TrimSuffix(bytes.TrimSuffix(said, []byte(tlsAlert)), []byte(badRequest)) // to other protocols
	for _, line := range strings.Split(strings.TrimSuffix(string(said), "\r\n"), "\r\n") {
		if !replyLine.MatchString(line) && err == nil {
			t.Errorf("not a reply: %q", line)
		}
	}
	eventually(t, "nothing is left of it", func() bool {
		s := r.server.Snapshot()
		return s.Connections == 0 && s.Messages == 0 && s.Upstream.Busy == 0
	})
	arrived := r.provider.Counts().Messages - before
	if acknowledged := len(delivered.FindAll(said, -1)); err == nil && arrived != int64(acknowledged) {
		t.Errorf("%d messages arrived, %d were acknowledged: %q", arrived, acknowledged, said)
	}
	if log := r.log.String(); strings.Contains(log, "panic") {
		t.Errorf("panic: %s", log)
	}
	r.log.reset()
}
