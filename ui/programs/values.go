package programs

import (
	"net"
	"strconv"
	"strings"
	"unicode"

	"github.com/waxseal/waxseal/proxy/api"
)

// Values are an account's values for a template.
type Values struct {
	User            string
	SMTP, IMAP, POP *Server // nil where the account does not do that
	Secret          string  // the local password, for files that must contain it; "" is LOCAL_PASSWORD
	Waxseal         string  // how a shell runs Waxseal, with its options; "" is "waxseal"
	Executable      string  // the path of the program
	Options         string  // its options, for a shell; "" if it needs none
	Certificate     string  // the file of the certificate that the servers present; "" if the system trusts it
	Taken           bool    // see Program.Taken
}

// Server is where a program connects.
type Server struct {
	Protocol api.Protocol
	Host     string
	Port     int
	Security string // "none", "starttls" or "tls"
}

// New chooses the servers for an account: those of this computer, without TLS if there are, because
// programs' checks of certificates are the hardest to satisfy; for programs on other computers those
// that they can reach, with TLS from the first byte if there are. elsewhere says that those were
// asked for and that there are none.
func New(m api.MailSettings, certificate string, network bool) (v Values, elsewhere bool) {
	v = Values{User: m.User}
	for _, at := range []struct {
		p  api.Protocol
		to **Server
	}{{api.SMTP, &v.SMTP}, {api.IMAP, &v.IMAP}, {api.POP, &v.POP}} {
		best := -1
		for _, s := range m.Servers {
			here := api.IsLoopback(s.Host)
			n := 0
			if here != network {
				n = 2
			}
			if s.TLS != here {
				n++
			}
			if s.Protocol == at.p && n > best { // the first of equals: IPv4
				best, *at.to = n, server(s)
			}
		}
		if s := *at.to; s != nil {
			elsewhere = elsewhere || network && api.IsLoopback(s.Host)
			if s.Security != "none" && api.IsLoopback(s.Host) {
				v.Certificate, s.Host = certificate, "localhost" // some programs find no address in a certificate
			}
		}
	}
	return v, elsewhere
}

func server(s api.MailServer) *Server {
	security := "starttls"
	switch {
	case s.TLS:
		security = "tls"
	case api.IsLoopback(s.Host):
		security = "none"
	}
	return &Server{s.Protocol, s.Host, s.Port, security}
}

// Server is the server for a protocol, nil where the account does not do that.
func (v Values) Server(p api.Protocol) *Server {
	return map[api.Protocol]*Server{api.SMTP: v.SMTP, api.IMAP: v.IMAP, api.POP: v.POP}[p]
}

// Reading is the server for reading: IMAP's if there is one, else POP's.
func (v Values) Reading() *Server {
	if v.IMAP != nil {
		return v.IMAP
	}
	return v.POP
}

// Password is the shell command that prints the local password.
func (v Values) Password() string {
	return v.Waxseal + " account password " + shellWord(v.User) + " --only"
}

// Sendmail is the shell command that sends a message from standard input.
func (v Values) Sendmail() string { return v.Waxseal + " sendmail -f " + shellWord(v.User) }

// Local and Domain are the address's two parts.
func (v Values) Local() string { local, _ := v.parts(); return local }

// Domain is what follows the @.
func (v Values) Domain() string { _, domain := v.parts(); return domain }

func (v Values) parts() (local, domain string) {
	if at := strings.LastIndexByte(v.User, '@'); at >= 0 {
		return v.User[:at], v.User[at+1:]
	}
	return v.User, ""
}

// Address is host:port.
func (s *Server) Address() string { return net.JoinHostPort(s.Host, strconv.Itoa(s.Port)) }

// URLHost is the host as a URL has it.
func (s *Server) URLHost() string {
	if strings.Contains(s.Host, ":") {
		return "[" + s.Host + "]"
	}
	return s.Host
}

// Here reports whether the server is on this computer.
func (s *Server) Here() bool { return api.IsLoopback(s.Host) }

// None reports whether the connection is not encrypted, because it does not leave the computer.
func (s *Server) None() bool { return s.Security == "none" }

// StartTLS reports whether STARTTLS is needed.
func (s *Server) StartTLS() bool { return s.Security == "starttls" }

// TLS reports whether TLS begins with the first byte.
func (s *Server) TLS() bool { return s.Security == "tls" }

// Name is the protocol's name as programs write it: "IMAP", "POP3".
func (s *Server) Name() string {
	if s.Protocol == api.POP {
		return "POP3"
	}
	return strings.ToUpper(string(s.Protocol))
}

// clean takes out the characters that would end a line or hide in it.
func clean(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) {
			return -1
		}
		return r
	}, s)
}
