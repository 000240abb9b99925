//go:build e2e

package e2e

import (
	"bufio"
	"bytes"
	"fmt"
	"net"
	"net/textproto"
	"slices"
	"strings"
	"sync"
	"testing"
)

// sink is where all mail ends up: an SMTP server that accepts every message and keeps its bytes as
// they came.
type sink struct {
	listener net.Listener
	serving  sync.WaitGroup

	feed
	conns    map[net.Conn]bool
	messages []message
}

type message struct {
	from string
	to   []string
	data []byte // without the final dot and without dot-stuffing
}

func startSink() (*sink, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	s := &sink{listener: listener, conns: make(map[net.Conn]bool)}
	s.serving.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			s.grow(func() { s.conns[conn] = true })
			s.serving.Go(func() {
				defer conn.Close()
				s.serve(conn)
			})
		}
	})
	return s, nil
}

func (s *sink) stop() error {
	s.listener.Close()
	s.grow(func() {
		for conn := range s.conns {
			conn.Close()
		}
	})
	s.serving.Wait()
	return nil
}

func (s *sink) port() int { return s.listener.Addr().(*net.TCPAddr).Port }

// serve speaks as much of RFC 5321 as Dovecot needs.
func (s *sink) serve(conn net.Conn) {
	r := bufio.NewReader(conn)
	say := func(text string) { fmt.Fprintf(conn, "%s\r\n", text) }
	var m message
	say("220 sink.test ESMTP")
	for {
		line, err := textproto.NewReader(r).ReadLine()
		if err != nil {
			return
		}
		verb, rest, _ := strings.Cut(line, " ")
		switch strings.ToUpper(verb) {
		case "EHLO":
			say("250-sink.test\r\n250-8BITMIME\r\n250 SIZE 50000000")
		case "MAIL":
			m = message{from: path(rest)}
			say("250 OK")
		case "RCPT":
			m.to = append(m.to, path(rest))
			say("250 OK")
		case "DATA":
			say("354 go on")
			if m.data, err = readData(r); err != nil {
				return
			}
			s.grow(func() { s.messages = append(s.messages, m) })
			say("250 kept by the sink")
		case "QUIT":
			say("221 bye")
			return
		default: // RSET, NOOP
			say("250 OK")
		}
	}
}

func path(argument string) string {
	_, rest, _ := strings.Cut(argument, "<")
	address, _, _ := strings.Cut(rest, ">")
	return address
}

func readData(r *bufio.Reader) ([]byte, error) {
	var data []byte
	for {
		line, err := r.ReadBytes('\n')
		if err != nil {
			return nil, err
		}
		if string(line) == ".\r\n" {
			return data, nil
		}
		data = append(data, bytes.TrimPrefix(line, []byte("."))...)
	}
}

// received waits for the message to a recipient.
func (s *sink) received(t *testing.T, to string) (found message) {
	t.Helper()
	err := s.await(nil, func() bool {
		i := slices.IndexFunc(s.messages, func(m message) bool { return slices.Contains(m.to, to) })
		if i >= 0 {
			found = s.messages[i]
		}
		return i >= 0
	})
	if err != nil {
		t.Fatalf("no message to %s: %v", to, err)
	}
	return found
}

// count returns how many messages to a recipient have arrived.
func (s *sink) count(to string) (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, m := range s.messages {
		if slices.Contains(m.to, to) {
			n++
		}
	}
	return n
}
