package smtpd

import (
	"io"
	"net"
	"strings"
	"testing"

	"github.com/emersion/go-smtp"

	"github.com/waxseal/waxseal/proxy/api"
)

// TestLateChunkTouchesNothing: go-smtp runs Data of a BDAT message in a goroutine of its own, which may
// start after RSET and in the middle of the next message.
func TestLateChunkTouchesNothing(t *testing.T) {
	provider, srv, box := working(t)
	ours, theirs := net.Pipe()
	c := newConn(srv.hall.Admit(ours, api.SMTP, false), srv)
	defer theirs.Close()
	defer c.Close()
	s := &session{srv: srv, c: c, log: srv.hall.Log, box: box}
	old, w := io.Pipe()
	w.CloseWithError(smtp.ErrDataReset)

	data := func(r *io.PipeReader) error { // as go-smtp does
		err := s.Data(r)
		r.CloseWithError(err)
		return err
	}
	if err := data(old); err == nil || err.(*smtp.SMTPError).Code != 451 {
		t.Errorf("outside a transaction: %v", err)
	}
	c.arg = "FROM:<" + me + ">"
	if err := s.Mail("", &smtp.MailOptions{}); err != nil {
		t.Fatal(err)
	}
	c.arg = "TO:<you@there.test>"
	if err := s.Rcpt("", &smtp.RcptOptions{}); err != nil {
		t.Fatal(err)
	}
	late, lw := io.Pipe()
	lw.CloseWithError(smtp.ErrDataReset)
	if err := data(late); err == nil || err.(*smtp.SMTPError).Code != 451 {
		t.Errorf("in the next transaction: %v", err)
	}
	live, w := io.Pipe()
	go func() {
		io.WriteString(w, "hello\r\n")
		w.Close()
	}()
	if err := data(live); err == nil || err.(*smtp.SMTPError).Code != 250 {
		t.Errorf("the transaction itself: %v", err)
	}
	s.Reset()
	if m := provider.Messages(); len(m) != 1 || !strings.HasPrefix(string(m[0].Body), "hello") {
		t.Errorf("%d messages arrived", len(m))
	}
}
