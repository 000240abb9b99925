package prelogin

import (
	"bytes"
	"slices"
)

// httpMethods are those that a first line can begin with (RFC 9110 section 9, RFC 9113 section 3.4).
var httpMethods = []string{"GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH", "PRI"}

// judge refuses lines that no mail program sends. What follows a line of another protocol would
// be taken for commands: a web page can make a browser send them.
func judge(line []byte) ([]byte, error) {
	method, _, _ := bytes.Cut(line, []byte(" "))
	switch {
	case bytes.HasPrefix(method, []byte("SSH-")):
		return nil, ErrSSH
	case IsHTTP(line):
		return nil, ErrHTTP
	case bytes.IndexByte(line, 0) >= 0:
		return nil, ErrNUL
	}
	return line, nil
}

// IsHTTP reports whether a line is how a request of HTTP begins.
func IsHTTP(line []byte) bool {
	method, _, _ := bytes.Cut(line, []byte(" "))
	return len(method) <= len("CONNECT") && slices.Contains(httpMethods, string(method)) && bytes.Contains(line, []byte(" HTTP/"))
}

// IsTLS judges the first bytes of a connection: TLS, or an SSL 2 hello, which has its length
// with the top bit set, then a 1.
func IsTLS(first []byte) bool {
	return first[0] == recordHandshake || len(first) > 2 && first[0] >= 0x80 && first[2] == 1
}
