package smtpd

import (
	"bufio"
	"errors"
	"io"
	"log/slog"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/waxseal/waxseal/proxy/api"
	"github.com/waxseal/waxseal/proxy/config"
	"github.com/waxseal/waxseal/proxy/mailbox"
)

// pipe is a connection whose other end the test holds. Its deadlines obey the clock of a synctest
// bubble.
func pipe(t *testing.T) (*conn, net.Conn) {
	t.Helper()
	ours, theirs := net.Pipe()
	hall := mailbox.NewHall()
	hall.Log, hall.IdleTimeout = slog.New(slog.DiscardHandler), 5*time.Minute
	hall.Config = func() *config.Config { return new(config.Default()) }
	t.Cleanup(hall.Kill)
	srv := New(hall)
	srv.OtherPort = func(bool, string) string { return "another port" }
	c := newConn(hall.Admit(ours, api.SMTP, false), srv)
	t.Cleanup(func() { c.Close(); theirs.Close() })
	return c, theirs
}

// TestDeadlineFollowsBytes: a slow upload survives, with some kilobytes every four minutes for hours;
// then silence ends it with 421.
func TestDeadlineFollowsBytes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, client := pipe(t)
		c.authed = true
		d := c.data()
		const n, piece = 60, 256 << 10
		go func() {
			for range n {
				time.Sleep(4 * time.Minute) // the bubble's clock
				client.Write(make([]byte, piece))
			}
		}()
		if _, err := io.ReadFull(d, make([]byte, n*piece)); err != nil {
			t.Fatalf("a slow upload was cut off: %v", err)
		}
		said := lastLine(client)
		start := time.Now()
		if _, err := d.Read(make([]byte, 1)); !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("silence in mid-body: got %v", err)
		}
		if line := <-said; !strings.HasPrefix(line, "421 4.4.2 Nothing received") {
			t.Errorf("silence was answered with %q", line)
		}
		if waited := time.Since(start); waited != 5*time.Minute {
			t.Errorf("a silent client was closed after %v", waited)
		}
	})
}

// lastLine gives what a client hears when it is closed.
func lastLine(client net.Conn) <-chan string {
	said := make(chan string, 1)
	go func() {
		line, _ := bufio.NewReader(client).ReadString('\n')
		said <- line
	}()
	return said
}

// TestDripping: a byte every four minutes keeps the idle timeout of five away, and still holds a
// connection no longer than one message or one command may take.
func TestDripping(t *testing.T) {
	for _, tc := range []struct {
		name   string
		setUp  func(c *conn) io.Reader
		within time.Duration
		said   string
	}{
		{"a body", func(c *conn) io.Reader { c.authed = true; return c.data() }, messageGrace, "421 4.4.2 This message comes too slowly"},
		{"a chunk", func(c *conn) io.Reader {
			c.authed, c.chunk = true, 1<<20
			c.tempo.message()
			return readerOnly{c}
		}, messageGrace, "421 4.4.2 This message comes too slowly"},
		{"a refused body", func(c *conn) io.Reader { c.authed = true; c.data(); return readerOnly{c} }, messageGrace, "421 4.4.2 This message comes too slowly"},
		{"a command", func(c *conn) io.Reader { c.authed = true; return readerOnly{c} }, 5 * time.Minute, "421 4.4.2 Nothing received"},
		{"before AUTH", func(c *conn) io.Reader { return readerOnly{c} }, 5 * time.Minute, "421 4.4.2 No login within"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c, client := pipe(t)
				from, start := tc.setUp(c), time.Now()
				said := lastLine(client)
				ended := make(chan struct{})
				go func() {
					defer close(ended)
					for {
						time.Sleep(4 * time.Minute) // the bubble's clock
						if _, err := client.Write([]byte("x")); err != nil {
							return
						}
					}
				}()
				io.Copy(io.Discard, from)
				if line := <-said; !strings.HasPrefix(line, tc.said) {
					t.Errorf("it was answered with %q", line)
				}
				if took := time.Since(start); took != tc.within {
					t.Errorf("it was closed after %v, want %v", took, tc.within)
				}
				client.Close()
				<-ended
			})
		})
	}
}

// TestCommandsBeforeAuth: without a login, whole commands do not hold a connection for ever either.
func TestCommandsBeforeAuth(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, client := pipe(t)
		start := time.Now()
		said := lastLine(client)
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			for {
				time.Sleep(time.Minute) // the bubble's clock
				if _, err := io.WriteString(client, "NOOP\r\n"); err != nil {
					return
				}
			}
		}()
		io.Copy(io.Discard, readerOnly{c})
		if line := <-said; !strings.HasPrefix(line, "421 4.4.2 No login within") {
			t.Errorf("it was answered with %q", line)
		}
		if took := time.Since(start); took != 5*time.Minute {
			t.Errorf("it was closed after %v", took)
		}
		client.Close()
		<-ended
	})
}

// TestCutChunkIsNoEnd: go-smtp takes io.EOF in the middle of a chunk for its end, and would deliver
// half a message.
func TestCutChunkIsNoEnd(t *testing.T) {
	c, client := pipe(t)
	go func() {
		io.WriteString(client, "BDAT 10 LAST\r\nhalf")
		client.Close()
	}()
	line := make([]byte, 64)
	n, err := c.Read(line)
	if err != nil || string(line[:n]) != "BDAT 10 LAST\r\n" {
		t.Fatalf("command: %q, %v", line[:n], err)
	}
	body, err := io.ReadAll(io.LimitReader(readerOnly{c}, 10))
	if string(body) != "half" || err == nil {
		t.Errorf("chunk: %q, %v; want an error", body, err)
	}
}

type readerOnly struct{ r io.Reader }

func (r readerOnly) Read(p []byte) (int, error) { return r.r.Read(p) }

// TestHalfCommandIsNone: a line without its end is not run when the connection breaks.
func TestHalfCommandIsNone(t *testing.T) {
	c, client := pipe(t)
	go func() {
		io.WriteString(client, "NOOP\r\nRCPT TO:<half@")
		client.Close()
	}()
	got, _ := io.ReadAll(readerOnly{c})
	if string(got) != "NOOP\r\n" {
		t.Errorf("got %q", got)
	}
}

// TestOneLineARead: go-smtp must not read beyond a command, or it would have the start of a body, or
// clear text sent before TLS.
func TestOneLineARead(t *testing.T) {
	c, client := pipe(t)
	go func() {
		io.WriteString(client, "EHLO x\r\nBDAT 6\r\nQUIT\r\nDATA\r\n")
		client.Close()
	}()
	var got []string
	buf := make([]byte, 4096)
	for {
		n, err := c.Read(buf)
		if err != nil {
			break
		}
		got = append(got, string(buf[:n]))
	}
	want := "EHLO x\r\n|BDAT 6\r\n|QUIT\r\n|DATA\r\n"
	if s := strings.Join(got, "|"); s != want {
		t.Errorf("got %q, want %q", s, want)
	}
}

func TestChunkSize(t *testing.T) {
	for arg, want := range map[string]int64{
		"10": 10, "10 LAST": 10, "0 last": 0, " 7  LAST ": 7, "10 FIRST": 0, "-1": 0, "+1": 0, "": 0, "1 LAST x": 0,
		"4294967295": 4294967295, "4294967296": 0, "0x10": 0,
	} {
		if got := chunkSize(arg); got != want {
			t.Errorf("chunkSize(%q) = %d, want %d", arg, got, want)
		}
	}
}

func TestLongCommand(t *testing.T) {
	c, client := pipe(t)
	said := make(chan string, 1)
	go func() {
		r := bufio.NewReader(client)
		go io.WriteString(client, "BDAT 5"+strings.Repeat(" ", 2000)+"\r\nhello")
		line, _ := r.ReadString('\n')
		said <- line
	}()
	if _, err := io.ReadAll(readerOnly{c}); err != nil {
		t.Fatal(err)
	}
	if line := <-said; !strings.HasPrefix(line, "500 5.5.6") {
		t.Errorf("a BDAT that hides its size was answered with %q", line)
	}
}

// A panic in a login is passed to the connection's goroutine, where it is caught: on any other it
// would end the program.
func TestPanicApart(t *testing.T) {
	defer func() {
		if r, _ := recover().(string); !strings.Contains(r, "broken") || !strings.Contains(r, "TestPanicApart") {
			t.Errorf("recovered %q", r)
		}
	}()
	apart(func() error { panic("broken") })
}
