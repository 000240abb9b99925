package api

import (
	"fmt"
	"net"
)

// PortTakenError says that an address cannot be listened on, and names one that
// can.
type PortTakenError struct {
	Address string `json:"address"`
	Owner   string `json:"owner,omitempty"` // the program that has it, where the system tells
	Free    string `json:"free,omitempty"`  // an address of the same host that is free now
}

// Error is for a terminal: it names the configuration's keys.
func (e *PortTakenError) Error() string {
	_, port, _ := net.SplitHostPort(e.Address)
	by := e.Owner
	if by == "" {
		by = "another program"
	}
	text := fmt.Sprintf("port %s is taken by %s: end that program, or set another port for %q in the configuration (listen, listen_tls, metrics)", port, by, e.Address)
	if e.Free != "" {
		text += fmt.Sprintf("; %q is free", e.Free)
	}
	return text
}

// Text is the same for a window.
func (e *PortTakenError) Text() Text {
	if e.Owner == "" {
		return Say("{{.Address}} is taken by another program.", "Address", e.Address)
	}
	return Say("{{.Address}} is taken by {{.Owner}}.", "Address", e.Address, "Owner", e.Owner)
}
