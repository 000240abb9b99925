package proxy

import (
	"io"
	"strings"
	"testing"

	"github.com/emersion/go-smtp"
)

// TestLateChunkTouchesNothing: go-smtp runs Data of a BDAT message in a goroutine of its own, which may
// start after RSET and in the middle of the next message.
func TestLateChunkTouchesNothing(t *testing.T) {
	r := newRig(t, rigOptions{})
	c, _ := pipe(t)
	c.srv = r.server
	s := &session{srv: r.server, c: c, log: r.server.log, ctx: t.Context(), box: r.server.mailbox(me)}
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
	if m := r.provider.Messages(); len(m) != 1 || !strings.HasPrefix(string(m[0].Body), "hello") {
		t.Errorf("%d messages arrived", len(m))
	}
	c.srv = &Server{stats: newStats(), conns: map[*conn]struct{}{}}
}
