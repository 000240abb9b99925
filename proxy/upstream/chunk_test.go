package upstream

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"log/slog"
	"strings"
	"testing"
)

// A filter between us and the server passes the word CHUNKING and does not know BDAT: the message goes
// by DATA, once, and so do all that follow.
func TestBDATNotKnown(t *testing.T) {
	for _, refusal := range []string{"502 5.5.2 Error: command not recognized", "500 what?", "500 5.5.1 Command unrecognized: \"XXXX 7 LAST\"", "503 5.5.1 Bad sequence of commands", "504 no"} {
		for _, ext := range [][]string{nil, without("PIPELINING")} {
			for _, body := range []string{"short\r\n", "", strings.Repeat("x", chunkSize), strings.Repeat("0123456789abcdef", chunkSize/16) + "\r\n.\r\n", long} {
				for _, r := range []io.Reader{strings.NewReader(body), &trickle{[]byte(body)}} {
					f := start(t, &fake{ext: ext, on: at("BDAT", refusal)})
					var log bytes.Buffer
					p := newPool(t, f, func(c *Config) { c.Log = slog.New(slog.NewTextHandler(&log, nil)) })
					reply, err := send(p, r, "you@there.example")
					wantReply(t, reply, err, "250 2.0.0 OK queued by 2")
					mustSend(t, p, "next\r\n")
					m := f.delivered()
					want := body
					if body != "" && !strings.HasSuffix(body, "\r\n") {
						want += "\r\n"
					}
					if len(m) != 2 || string(m[0].body) != want || m[0].chunked || len(m[0].rcpts) != 1 || m[1].chunked || m[1].conn != 2 {
						t.Errorf("%q, %d bytes: %d messages over %d connections", refusal, len(body), len(m), f.connections())
					}
					chunks := 0
					for _, line := range f.said(1) {
						if strings.HasPrefix(line, "BDAT") {
							chunks++
						}
					}
					if chunks != 1 || strings.Count(log.String(), "CHUNKING") != 1 {
						t.Errorf("%q, %d bytes: %d chunks, logged %q", refusal, len(body), chunks, log.String())
					}
				}
			}
		}
	}
}

// What the server says of the message is its answer, and no reason to send it again.
func TestMessageRefusedByBDAT(t *testing.T) {
	for _, refusal := range []string{"550 5.7.1 spam", "500 5.7.1 spam", "503 5.7.0 not from you", "552 5.3.4 too big", "451 4.3.0 later", "421 4.3.0 later"} {
		for _, body := range []string{"short\r\n", long} {
			f := start(t, &fake{on: at("BDAT", refusal)})
			r, err := send(newPool(t, f), strings.NewReader(body), "you@there.example")
			wantReply(t, r, err, refusal)
			if f.connections() != 1 || len(f.delivered()) != 0 {
				t.Errorf("%q: %d connections", refusal, f.connections())
			}
		}
	}
}

// A server that has accepted a chunk knows BDAT: a later 503 is its answer to the message.
func TestBDATRefusedLater(t *testing.T) {
	chunks := 0
	f := start(t, &fake{on: func(_ int, line string) string {
		if strings.HasPrefix(line, "BDAT") {
			if chunks++; chunks > 1 {
				return "503 5.5.1 out of order"
			}
		}
		return ""
	}})
	p := newPool(t, f)
	r, err := send(p, strings.NewReader(long), "you@there.example")
	wantReply(t, r, err, "503 5.5.1 out of order")
	if f.connections() != 1 || p.noChunking.Load() {
		t.Errorf("%d connections", f.connections())
	}
}

// The message that finds BDAT unknown is not delivered when the envelope gets another answer, or the
// new connection fails; then it may be tried again.
func TestBDATNotKnownAndNoOtherWay(t *testing.T) {
	for line, reply := range map[string]string{"CONNECT": "drop", "MAIL": "550 5.7.1 no", "RCPT": "550 5.1.1 nobody", "DATA": "drop"} {
		f := start(t, &fake{on: func(n int, said string) string {
			switch {
			case strings.HasPrefix(said, "BDAT"):
				return "502 5.5.2 no"
			case n == 2 && strings.HasPrefix(said, line):
				return reply
			}
			return ""
		}})
		p := newPool(t, f)
		r, err := send(p, strings.NewReader("x\r\n"), "you@there.example")
		var lost *ConnError
		if !errors.As(err, &lost) || lost.Started || lost.Unknown || len(f.delivered()) != 0 {
			t.Errorf("%s: %v, %v", line, r, err)
		}
	}
}

func TestUnknownCommand(t *testing.T) {
	for reply, want := range map[string]bool{
		"500 what": true, "501 5.5.4 what": true, "502": true, "502 5.5.1 no": true, "503 bad sequence": true, "504 no": true,
		"500 5.7.1 spam": false, "505 no": false, "550 5.5.1 no": false, "421 no": false, "250 ok": false, "554 no": false,
	} {
		r, err := readReply(bufio.NewReader(strings.NewReader(reply+"\r\n")), nil)
		if err != nil || unknownCommand(r) != want {
			t.Errorf("%q: %v, %v", reply, r, err)
		}
	}
}
