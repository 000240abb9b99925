package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/waxseal/waxseal/proxy/providertest"
)

// The upstream, the forwarder and the real waxseal each run in their own process, so
// that the operating system can report what each of them uses. The first two are this
// program again, and end when their standard input is closed.

// upstream is what the provider's process prints about itself.
type upstream struct {
	SMTP     string    `json:"smtp"`
	IMAP     string    `json:"imap,omitempty"` // with TLS from the first byte; "" if nobody reads
	TokenURL string    `json:"token_url"`
	CA       string    `json:"ca"` // PEM
	Accounts []account `json:"accounts"`
}

// account can send through Waxseal with Refresh, and directly with Access.
type account struct {
	Address string `json:"address"`
	Refresh string `json:"refresh"`
	Access  string `json:"access,omitempty"`
}

// serveUpstream runs a provider with n accounts and the given latency. If message is not 0, each account
// has a message of that many bytes to read.
func serveUpstream(latency time.Duration, n, message int) error {
	p, err := providertest.Start(providertest.Options{
		Latency: latency, CountOnly: true, MaxSize: 64 << 20, IdleTimeout: 10 * time.Minute,
		Scopes: map[providertest.Protocol]string{providertest.SMTP: "mail", providertest.IMAP: "mail"},
	})
	if err != nil {
		return err
	}
	defer p.Close()
	u := upstream{SMTP: p.SMTPAddr, TokenURL: p.TokenURL(), CA: string(p.CertPEM())}
	var letter []byte
	if message > 0 {
		u.IMAP, letter = p.IMAPAddr, body(message)[:message]
	}
	for i := range n {
		address := fmt.Sprintf("user%d@bench.test", i)
		u.Accounts = append(u.Accounts, account{Address: address, Refresh: p.Grant(address)})
		if message > 0 {
			p.Deliver(address, letter)
		}
	}
	return printAndWait(u)
}

// serveForwarder runs a TCP forwarder. It passes bytes on, including TLS, and knows
// nothing about mail. On Linux, io.Copy between two TCP connections uses splice(2).
func serveForwarder(to string) error {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	var running sync.WaitGroup
	defer running.Wait()
	defer l.Close()
	running.Go(func() {
		for {
			in, err := l.Accept()
			if err != nil {
				return
			}
			go forward(in, to) // ends with the process
		}
	})
	return printAndWait(l.Addr().String())
}

func forward(in net.Conn, to string) {
	defer in.Close()
	out, err := net.Dial("tcp", to)
	if err != nil {
		return
	}
	defer out.Close()
	var both sync.WaitGroup
	pipe := func(to, from net.Conn) {
		io.Copy(to, from)
		to.(*net.TCPConn).CloseWrite()
	}
	both.Go(func() { pipe(out, in) })
	pipe(in, out)
	both.Wait()
}

// printAndWait prints one line of JSON and returns when standard input ends.
func printAndWait(v any) error {
	if err := json.NewEncoder(os.Stdout).Encode(v); err != nil {
		return err
	}
	io.Copy(io.Discard, os.Stdin)
	return nil
}

// peer is a process that takes part in the measurement.
type peer struct {
	cmd   *exec.Cmd
	stdin io.Closer
}

// start runs a program, which may be this one. Unless out is nil, it decodes the
// program's first line into out.
func start(out any, program string, args ...string) (*peer, error) {
	cmd := exec.Command(program, args...)
	cmd.Stderr = os.Stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	p := &peer{cmd, stdin}
	if out == nil {
		return p, nil
	}
	line, err := bufio.NewReaderSize(stdout, 1<<20).ReadBytes('\n')
	if err == nil {
		err = json.Unmarshal(line, out)
	}
	if err != nil {
		p.end()
		return nil, fmt.Errorf("%s %s: %w", program, strings.Join(args, " "), err)
	}
	return p, nil
}

// end tells the process to end and waits until it has. A shell lets the programs that it runs in the background
// ignore an interrupt.
func (p *peer) end() {
	p.stdin.Close()
	p.cmd.Process.Signal(syscall.SIGTERM)
	p.cmd.Wait()
}
