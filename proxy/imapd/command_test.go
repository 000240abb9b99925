package imapd

import (
	"errors"
	"fmt"
	"io"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/waxseal/waxseal/proxy/prelogin"
)

func TestCommand(t *testing.T) {
	words := func(w ...string) []string { return w }
	tests := []struct {
		sent  string
		want  command
		asked int   // for literals
		err   error // of reading
	}{
		{sent: "a LOGIN me secret\r\n", want: command{"a", "LOGIN", words("me", "secret"), ""}},
		{sent: "a login me@corp.example p@ss(1)%*\n", want: command{"a", "LOGIN", words("me@corp.example", "p@ss(1)%*"), ""}},
		{sent: `a LOGIN "m\"e" "a\\b c"` + "\r\n", want: command{"a", "LOGIN", words(`m"e`, `a\b c`), ""}},
		{sent: `a LOGIN "" ""` + "\r\n", want: command{"a", "LOGIN", words("", ""), ""}},
		{sent: "a LOGIN jürgen \"größe\"\r\n", want: command{"a", "LOGIN", words("jürgen", "größe"), ""}},
		{sent: "a LOGIN me \xfcber\r\n", want: command{"a", "LOGIN", words("me", "\xfcber"), ""}},
		{sent: "a LOGIN {2}\r\nme {6}\r\nse cre\r\n", want: command{"a", "LOGIN", words("me", "se cre"), ""}, asked: 2},
		{sent: "a LOGIN {2+}\r\nme {7+}\r\ns\r\ncret\r\n", want: command{"a", "LOGIN", words("me", "s\r\ncret"), ""}},
		{sent: "a LOGIN {2+}\r\nme \"x\"\r\n", want: command{"a", "LOGIN", words("me", "x"), ""}},
		{sent: "a LOGIN me {0}\r\n\r\n", want: command{"a", "LOGIN", words("me", ""), ""}, asked: 1},
		{sent: "a LOGIN me pass{5}\r\n", want: command{"a", "LOGIN", words("me", "pass{5}"), ""}},
		{sent: "a LOGIN me {x}\r\n", want: command{"a", "LOGIN", words("me", "{x}"), ""}},
		{sent: "a LOGIN me one two\r\n", want: command{"a", "LOGIN", words("me", "one", "two"), ""}},
		{sent: "a LOGIN {2+}\r\nmeX y\r\n", want: command{"a", "LOGIN", words("me", "X", "y"), "A blank must follow a literal"}},
		{sent: `a LOGIN me "open` + "\r\n", want: command{"a", "LOGIN", words("me"), "A quoted string does not end"}},
		{sent: `a LOGIN me "x"y` + "\r\n", want: command{"a", "LOGIN", words("me"), "A quoted string does not end"}},
		{sent: `a LOGIN me "x\` + "\r\n", want: command{"a", "LOGIN", words("me"), "A quoted string does not end"}},
		{sent: "a LOGIN m\x00e x\r\n", err: prelogin.ErrNUL},
		{sent: "a LOGIN m\x01e x\r\n", want: command{"a", "LOGIN", words("m\x01e", "x"), "Control characters are not allowed"}},
		{sent: "a LOGIN me {2+}\r\n\x00x\r\n", want: command{"a", "LOGIN", words("me", "\x00x"), "NUL is not allowed"}},
		{sent: "a LOGIN me {8193}\r\n", want: command{"a", "LOGIN", words("me"), "The literal is too long"}},
		{sent: "a LOGIN me {99999999999999999999}\r\n", want: command{"a", "LOGIN", words("me"), "The literal is too long"}},
		{sent: "a LOGIN me {8193+}\r\n", err: prelogin.ErrLong},
		{sent: "a LOGIN me {8192+}\r\n" + strings.Repeat("x", 8192) + "\r\n", want: command{"a", "LOGIN", words("me", strings.Repeat("x", 8192)), ""}},
		{sent: strings.Repeat("a LOGIN {8192+}\r\n"+strings.Repeat("x", 8192), 9), err: prelogin.ErrLong},
		{sent: "a LOGIN" + strings.Repeat(" {8000+}\r\n"+strings.Repeat("x", 8000), 9), err: prelogin.ErrLong},
		{sent: "a " + strings.Repeat("x", maxLine) + "\r\n", err: prelogin.ErrLong},
		{sent: "a FOO {5}\r\n", want: command{"a", "FOO", nil, "Unknown command, or not before the login"}},
		{sent: "a FOO {5+}\r\nhello\r\n", want: command{"a", "FOO", words("hello"), ""}},
		{sent: "a ID (\"name\" {3}\r\nfoo)\r\n", want: command{"a", "ID", words(`("name"`, "foo", ")"), ""}, asked: 1},
		{sent: "a ID (\"name\" \"foo bar\")\r\n", want: command{"a", "ID", words(`("name"`), ""}},
		{sent: "a AUTHENTICATE PLAIN =\r\n", want: command{"a", "AUTHENTICATE", words("PLAIN", "="), ""}},
		{sent: "a\r\n", want: command{"a", "", nil, "A command has a name"}},
		{sent: "\r\n", want: command{bad: "A command begins with a tag"}},
		{sent: " NOOP\r\n", want: command{bad: "A command begins with a tag"}},
		{sent: "+ NOOP\r\n", want: command{bad: "A command begins with a tag"}},
		{sent: "* NOOP\r\n", want: command{bad: "A command begins with a tag"}},
		{sent: "a\"b NOOP\r\n", want: command{bad: "A command begins with a tag"}},
		{sent: "é NOOP\r\n", want: command{bad: "A command begins with a tag"}},
		{sent: strings.Repeat("t", maxTag+1) + " NOOP\r\n", want: command{bad: "A command begins with a tag"}},
		{sent: "a NOOP", err: io.EOF},
		{sent: "a LOGIN {5+}\r\nme", err: io.EOF},
	}
	for _, test := range tests {
		c := &script{in: strings.NewReader(test.sent)}
		conn := prelogin.New(prelogin.Config{TCP: c, Timeout: time.Minute, MaxLine: maxLine})
		got, err := readCommand(conn)
		conn.Flush()
		asked := strings.Count(c.out.String(), "+ OK\r\n")
		name := fmt.Sprintf("%.60q", test.sent)
		if !errors.Is(err, test.err) {
			t.Errorf("%s: error %v, want %v", name, err, test.err)
		}
		if err == nil && (!reflect.DeepEqual(got, test.want) || asked != test.asked) {
			t.Errorf("%s:\n got %+v, asked %d\nwant %+v, asked %d", name, got, asked, test.want, test.asked)
		}
	}
}
