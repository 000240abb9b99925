// Package dialogue plays SMTP dialogues that are written down in files: what a mail program
// sends, byte for byte, and what the server must reply. Only tests use it.
//
// A file has one step per line. Empty lines and lines that start with # mean nothing.
//
//	-> EHLO old.example        send this and CRLF
//	.> MAIL FR                 send this without a line end
//	~> 'DATA\n'                send exactly these bytes, in one write
//	<- 250 2.1.0*              the next line must be this; * stands for any characters
//	<~ 25[01] .*queued         the next line must match this regular expression from its start
//	<... 250 SIZE              a line of the next reply must match; the lines before it are skipped
//	closed                     the server must close the connection
//	starttls                   do the TLS handshake, after the server's 220
//	tcp_connect, tls_connect   open a connection, in clear text or with TLS from the first byte
//	half_close                 send nothing more, but go on reading
//	close                      close the connection
//	wait 200ms                 do nothing for this long
//	within 1s                  the next reply must come within this time
//	check arrived me@x.test    ask the test whether this is so: see Player.Check
//
// The bytes of a ~> line are quoted strings with the escapes \r \n \t \0 \xHH \\ \' \", which may
// be joined, repeated and put into base64: ('a' * 998 + '\r\n') * 3 + b64('\0me\0secret'). So a
// line can end in LF or CR CR LF or not at all, and several commands can share a packet.
//
// A step may begin with the name of its connection, as in "c -> NOOP"; steps without a name share
// one connection. Unless a step opens it, a connection opens by itself, in clear text.
//
// A file can hold several dialogues. Each begins with a line "== NAME", and all of them begin with
// the steps before the first such line. A line "part NAME" begins steps that are used more than
// once, up to the next part or dialogue; "play NAME" inserts them.
//
// The dialogues of other suites can be replayed. The format includes all that the SMTP dialogues of
// chasquid's tests (*.cmy) use, and a transcript that swaks has printed is a dialogue too. Other
// servers use other words, so play these with Player.Loose.
package dialogue

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"
)

// Dialogue is one dialogue of a file.
type Dialogue struct {
	Name  string // its own name; without one, the file's name without folder and extension
	steps []step
}

// step is one line of a dialogue.
type step struct {
	at    string // file and line
	conn  string // the connection's name
	op    string // what to do, as in the file
	text  string // to send, to expect or to check
	match *regexp.Regexp
	time  time.Duration
}

// ReadFile reads the dialogues in a file.
func ReadFile(path string) ([]Dialogue, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	return Parse(path, string(text))
}

// Parse reads the dialogues in text. The file's name is for errors and for a dialogue without a name.
func Parse(file, text string) ([]Dialogue, error) {
	p := parser{file: file, parts: map[string][]step{}}
	parse := p.line
	if isTranscript(text) {
		parse = new(transcript).line
	}
	for i, line := range strings.Split(text, "\n") {
		p.at = fmt.Sprintf("%s:%d", file, i+1)
		steps, err := parse(strings.TrimSuffix(line, "\r"))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", p.at, err)
		}
		p.add(steps)
	}
	return p.end()
}

// parser collects steps. Each goes to the part, the dialogue or the common beginning that it is in.
type parser struct {
	file, at string
	common   []step
	parts    map[string][]step
	part     string // the part being read, "" if none is
	all      []Dialogue
}

// line reads one line and returns its steps.
func (p *parser) line(line string) ([]step, error) {
	line = strings.TrimLeft(line, " \t")
	if line == "" || line[0] == '#' {
		return nil, nil
	}
	word, name, _ := strings.Cut(line, " ")
	name = strings.TrimSpace(name)
	switch word {
	case "==":
		if name == "" {
			return nil, errors.New("a dialogue needs a name: == NAME")
		}
		p.part = ""
		p.all = append(p.all, Dialogue{Name: name, steps: append([]step(nil), p.common...)})
		return nil, nil
	case "part":
		if _, twice := p.parts[name]; name == "" || twice || len(p.all) > 0 {
			return nil, errors.New("a part needs a new name and must come before the first dialogue: part NAME")
		}
		p.part, p.parts[name] = name, []step{}
		return nil, nil
	case "play":
		steps, ok := p.parts[name]
		if !ok || name == p.part {
			return nil, fmt.Errorf("there is no part %q above this line", name)
		}
		played := make([]step, len(steps))
		for i, s := range steps {
			s.at = fmt.Sprintf("%s, in part %s: %s", p.at, name, strings.TrimPrefix(s.at, p.file+":"))
			played[i] = s
		}
		return played, nil
	}
	s, err := parseStep(line)
	return []step{s}, err
}

func (p *parser) add(steps []step) {
	for i := range steps {
		if steps[i].at == "" {
			steps[i].at = p.at
		}
	}
	switch {
	case p.part != "":
		p.parts[p.part] = append(p.parts[p.part], steps...)
	case len(p.all) > 0:
		last := &p.all[len(p.all)-1]
		last.steps = append(last.steps, steps...)
	default:
		p.common = append(p.common, steps...)
	}
}

func (p *parser) end() ([]Dialogue, error) {
	if len(p.all) == 0 {
		p.all = []Dialogue{{Name: strings.TrimSuffix(filepath.Base(p.file), filepath.Ext(p.file)), steps: p.common}}
	}
	for _, d := range p.all {
		if len(d.steps) == 0 {
			return nil, fmt.Errorf("%s: dialogue %s has no steps", p.file, d.Name)
		}
	}
	return p.all, nil
}
