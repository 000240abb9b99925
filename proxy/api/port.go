package api

import (
	"fmt"
	"net"
	"strconv"
)

// PortTakenError says that another program listens on an address, and names a free one.
type PortTakenError struct {
	Address string `json:"address"`
	Owner   string `json:"owner,omitempty"` // the program that uses it, if the system tells
	Process int    `json:"process,omitempty"`
	User    string `json:"user,omitempty"` // whose program it is, if it is another user's
	Free    string `json:"free,omitempty"` // an address of the same host that is free now
}

// Error is for a terminal: it names the configuration's keys.
func (e *PortTakenError) Error() string {
	_, port, _ := net.SplitHostPort(e.Address)
	by := "another program"
	if e.Owner != "" {
		by = fmt.Sprintf("%s (process %d)", e.Owner, e.Process)
	}
	if e.User != "" {
		by += " of the user " + e.User
	}
	text := fmt.Sprintf("port %s is taken by %s: quit that program, or set another port for %q in the configuration (listen, listen_tls, metrics)", port, by, e.Address)
	if e.Free != "" {
		text += fmt.Sprintf("; %q is free", e.Free)
	}
	if e.User != "" {
		text += "; until then, mail programs would send their local passwords to that user's program"
	}
	return text
}

// Text is the same for a window.
func (e *PortTakenError) Text() Text {
	switch {
	case e.User != "" && e.Owner != "":
		return Say("{{.Address}} is taken by {{.Owner}} (process {{.Process}}) of the user {{.User}}.",
			"Address", e.Address, "Owner", e.Owner, "Process", strconv.Itoa(e.Process), "User", e.User)
	case e.User != "":
		return Say("{{.Address}} is taken by another program of the user {{.User}}.", "Address", e.Address, "User", e.User)
	case e.Owner != "":
		return Say("{{.Address}} is taken by {{.Owner}} (process {{.Process}}).",
			"Address", e.Address, "Owner", e.Owner, "Process", strconv.Itoa(e.Process))
	}
	return Say("{{.Address}} is taken by another program.", "Address", e.Address)
}

// Remedy says what to do, for a window.
func (e *PortTakenError) Remedy() Text {
	if e.User != "" {
		return Say("Choose another port in the settings and in your mail programs: with this one they would send their local passwords to {{.User}}.", "User", e.User)
	}
	return Say("Quit the other program, or choose another port in the settings.")
}
