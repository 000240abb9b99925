package dialogue

import (
	"strings"
	"testing"
	"time"
)

func TestParse(t *testing.T) {
	list, err := Parse("dir/some.txt", strings.Join([]string{
		"# a comment", "<- 220*", "", "part login", "  -> AUTH PLAIN x", "\t<~ 235( .*)?", "part twice", "play login", "play login\r",
		"== first case", "play login", "== second", "c tls_connect localhost:1465", `c ~> 'a' * 2`, "c -> ", "c ->", "->  two blanks ", "wait 200ms",
		"c sleep 0.5", "within 1s", "c <... 250 HELP", "check  arrived ", "play twice",
	}, "\n"))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, d := range list {
		got = append(got, d.Name)
		for _, s := range d.steps {
			line := strings.Join([]string{s.at, s.conn, s.op, s.text}, "|")
			if s.time > 0 {
				line += s.time.String()
			}
			got = append(got, line)
		}
	}
	want := []string{
		"first case", "dir/some.txt:2||<-|220*",
		"dir/some.txt:11, in part login: 5||->|AUTH PLAIN x", "dir/some.txt:11, in part login: 6||<~|235( .*)?",
		"second", "dir/some.txt:2||<-|220*",
		"dir/some.txt:13|c|tls_connect|", "dir/some.txt:14|c|~>|aa", "dir/some.txt:15|c|->|", "dir/some.txt:16|c|->|",
		"dir/some.txt:17||->| two blanks ", "dir/some.txt:18||wait|" + (200 * time.Millisecond).String(), "dir/some.txt:19|c|wait|500ms", "dir/some.txt:20||within|1s",
		"dir/some.txt:21|c|<...|250 HELP", "dir/some.txt:22||check|arrived",
		"dir/some.txt:23, in part twice: 8, in part login: 5||->|AUTH PLAIN x", "dir/some.txt:23, in part twice: 8, in part login: 6||<~|235( .*)?",
		"dir/some.txt:23, in part twice: 9, in part login: 5||->|AUTH PLAIN x", "dir/some.txt:23, in part twice: 9, in part login: 6||<~|235( .*)?",
	}
	if a, b := strings.Join(got, "\n"), strings.Join(want, "\n"); a != b {
		t.Errorf("got\n%s\nwant\n%s", a, b)
	}
}

func TestParseOneDialogue(t *testing.T) {
	list, err := Parse("dir/some.txt", "-> NOOP\n<- 250*\n")
	if err != nil || len(list) != 1 || list[0].Name != "some" || len(list[0].steps) != 2 {
		t.Errorf("%+v, %v", list, err)
	}
}

func TestParseErrors(t *testing.T) {
	for text, want := range map[string]string{
		"":                             "f.txt: dialogue f has no steps",
		"-> x\n== ":                    "f.txt:2: a dialogue needs a name",
		"NOOP":                         `f.txt:1: "NOOP" is not a step of a dialogue`,
		"\n\nc NOOP":                   `f.txt:3: "c NOOP" is not a step of a dialogue`,
		"c tcp_listen localhost:1":     `f.txt:1: "c tcp_listen localhost:1" is not a step`,
		"<~ 2(5":                       "f.txt:1: error parsing regexp",
		"wait":                         "f.txt:1: time: invalid duration",
		"wait 0s":                      "f.txt:1: 0s is not a time to wait",
		"within -1s":                   "f.txt:1: -1s is not a time to wait",
		"sleep long":                   "f.txt:1: time: invalid duration",
		"closed now":                   `f.txt:1: unexpected "now" after closed`,
		"check ":                       "f.txt:1: check needs something to check",
		"play x":                       `f.txt:1: there is no part "x" above this line`,
		"part x\nplay x":               `f.txt:2: there is no part "x" above this line`,
		"part":                         "f.txt:1: a part needs a new name",
		"part x\npart x":               "f.txt:2: a part needs a new name",
		"== x\n-> x\npart y":           "f.txt:3: a part needs a new name",
		"~> NOOP":                      `f.txt:1: the bytes to send are a string such as 'NOOP\r\n', not "NOOP"`,
		"~> 'x":                        "f.txt:1: the closing quote of a string is missing",
		`~> 'x\`:                       "f.txt:1: a backslash has nothing after it",
		`~> '\q'`:                      `f.txt:1: the escape "\\q" is not known`,
		`~> '\x0'`:                     `f.txt:1: the escape "\\x" is not known`,
		"~> 'x' 'y'":                   `f.txt:1: the bytes to send end before "'y'"`,
		"~> 'x' * y":                   "f.txt:1: how often to repeat a string: strconv.Atoi",
		"~> 'xx' * 33554433":           "f.txt:1: the bytes to send are more than 67108864",
		"~> ('x' + 'y'":                `f.txt:1: a closing parenthesis is missing before ""`,
		"~> 'x' +":                     "f.txt:1: the bytes to send are a string",
		"=== Trying x:25...\nNOOP":     `f.txt:2: "NOOP" is not a line of a swaks transcript`,
		"== a\n== b\n-> x":             "f.txt: dialogue a has no steps",
		"-> x\npart p\n-> y\n== a\n=a": `f.txt:5: "=a" is not a step of a dialogue`,
	} {
		_, err := Parse("f.txt", text)
		if err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%q: got %v, want %s", text, err, want)
		}
	}
}

func TestBytes(t *testing.T) {
	for text, want := range map[string]string{
		`'NOOP\r\n'`:                          "NOOP\r\n",
		`"DATA\n"`:                            "DATA\n",
		`'.\r\r\n'`:                           ".\r\r\n",
		`'\0\x00\xff\t\\\'\"'`:                "\x00\x00\xff\t\\'\"",
		`'it"s' + "it's"`:                     `it"sit's`,
		`''`:                                  "",
		`'jürgen'`:                            "jürgen",
		`('a' * 3 + '\r\n') * 2`:              "aaa\r\naaa\r\n",
		`'a'*2*2 + 'b' * 0`:                   "aaaa",
		`'AUTH PLAIN ' + b64('\0me\0secret')`: "AUTH PLAIN AG1lAHNlY3JldA==",
		`b64('a' + 'b') * 2 `:                 "YWI=YWI=",
		`  'RSET\r\nNOOP\r\n'  `:              "RSET\r\nNOOP\r\n",
	} {
		if got, err := evaluate(text); got != want || err != nil {
			t.Errorf("%s: got %q, %v, want %q", text, got, err, want)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, seed := range []string{
		"# x\n<- 220*\npart a\n-> NOOP\n== b\nplay a\nc <... 250\nwait 1s\ncheck x", "~> ('a' * 3 + b64(\"\\x00\\r\")) * 2",
		"=== Connected to x\n<-  220 x\n ~> EHLO x\n<~* 500\n*** Remote host closed connection", "== a\n== b", "~> 'a'*99999999999",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		list, err := Parse("f.txt", text)
		if err != nil && !strings.HasPrefix(err.Error(), "f.txt:") {
			t.Errorf("the error names no file: %v", err)
		}
		for _, d := range list {
			if len(d.steps) == 0 || d.steps[0].at == "" || d.steps[0].op == "" {
				t.Errorf("%+v", d)
			}
		}
	})
}

// The transcript is of the form that swaks 20201014 prints.
func TestTranscript(t *testing.T) {
	list, err := Parse("printer.log", strings.Join([]string{
		"=== Trying 127.0.0.1:1587...", "=== Connected to 127.0.0.1.",
		"<-  220 ready", " -> EHLO box", "<-  250-Hello", "<-  250 STARTTLS", " -> STARTTLS", "<-  220 go on",
		"=== TLS started with cipher TLSv1.3:TLS_AES_256_GCM_SHA384:256", `=== TLS client certificate not requested and not sent`,
		" ~> MAIL FROM:<a@b.test>", "<~* 530 no", "*~> QUIT", "<~  221 bye", "=== Connection closed with remote host.",
		"=== Trying 127.0.0.1:1465...", "=== Connected to 127.0.0.1.", "=== TLS started with cipher X",
		"<~  220 ready", " ~> ", " ~> .", "*** Remote host closed connection unexpectedly.",
	}, "\n"))
	if err != nil || len(list) != 1 || list[0].Name != "printer" {
		t.Fatalf("%+v, %v", list, err)
	}
	var got []string
	for _, s := range list[0].steps {
		got = append(got, strings.TrimSuffix(s.op+" "+s.text, " "))
	}
	want := []string{
		"tcp_connect", "<- 220 ready", "-> EHLO box", "<- 250-Hello", "<- 250 STARTTLS", "-> STARTTLS", "<- 220 go on", "starttls",
		"-> MAIL FROM:<a@b.test>", "<- 530 no", "-> QUIT", "<- 221 bye",
		"tls_connect", "<- 220 ready", "->", "-> .", "closed",
	}
	if a, b := strings.Join(got, "\n"), strings.Join(want, "\n"); a != b {
		t.Errorf("got\n%s\nwant\n%s", a, b)
	}
	if s := list[0].steps[0]; s.at != "printer.log:3" {
		t.Errorf("the connection is opened at %s", s.at)
	}
}
