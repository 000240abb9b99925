package main

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

// haproxy adds a route through haproxy, which takes clear text and has TLS to the provider, as Waxseal
// does. It knows nothing about mail. Where it is not installed, it is left out.
func (s *stage) haproxy(dir string) error {
	program, err := exec.LookPath("haproxy")
	if err != nil {
		fmt.Println("NOT MEASURED: haproxy, which is not installed")
		return nil
	}
	at, err := freePort()
	if err != nil {
		return err
	}
	ca, config := filepath.Join(dir, "haproxy.pem"), filepath.Join(dir, "haproxy.cfg")
	if err := os.WriteFile(ca, []byte(s.upstream.CA), 0o600); err != nil {
		return err
	}
	text := fmt.Sprintf(`defaults
	mode tcp
	timeout connect 10s
	timeout client 1h
	timeout server 1h
listen imap
	bind %s
	server provider %s ssl verify required verifyhost localhost ca-file %s
`, at, s.upstream.IMAP, ca)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		return err
	}
	p, err := start(nil, program, "-q", "-db", "-f", config)
	if err != nil {
		return err
	}
	s.processes = append(s.processes, p)
	for deadline := time.Now().Add(patience); ; time.Sleep(10 * time.Millisecond) {
		conn, err := net.Dial("tcp", at)
		if err == nil {
			s.routes = append(s.routes, route{name: "haproxy", addr: at, clear: true, pid: p.cmd.Process.Pid})
			return conn.Close()
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("haproxy: %w", err)
		}
	}
}
