package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/term"
)

// errNoAnswer ends a question: the user pressed Ctrl-C or Ctrl-D, or is gone.
var errNoAnswer = errors.New("the question was not answered")

// interactive reports whether there is somebody to ask.
func (m *Main) interactive() bool {
	return isTerminal(m.In) && isTerminal(m.Err)
}

// ask prints a question and waits for a line, until ctx ends.
func (m *Main) ask(ctx context.Context, question string) (string, error) {
	fmt.Fprint(m.Err, clean(question)+" ")
	answer, err := m.await(ctx, func() (string, error) { return readLine(m.In) })
	return strings.TrimSpace(answer), err
}

// askSecret is ask without showing the answer. The echo is off before the question appears,
// because people paste answers quickly.
func (m *Main) askSecret(ctx context.Context, question string) (string, error) {
	fd := int(m.In.(*os.File).Fd())
	before, err := term.MakeRaw(fd)
	if err != nil {
		return "", fmt.Errorf("ask without showing the answer: %w", err)
	}
	defer term.Restore(fd, before)
	t := term.NewTerminal(struct {
		io.Reader
		io.Writer
	}{m.In, m.Err}, "")
	return m.await(ctx, func() (string, error) { return t.ReadPassword(clean(question) + " ") })
}

// await reads an answer, unless ctx ends first. Not every system can interrupt a read from a
// terminal, so an unanswered read ends with the program.
func (m *Main) await(ctx context.Context, read func() (string, error)) (string, error) {
	type answer struct {
		text string
		err  error
	}
	got := make(chan answer, 1)
	go func() {
		text, err := read()
		got <- answer{text, err}
	}()
	select {
	case a := <-got:
		if errors.Is(a.err, io.EOF) {
			a.err = errNoAnswer
		}
		return a.text, a.err
	case <-ctx.Done():
		return "", ctx.Err()
	}
}

// readLine reads one line and no more, so that the next question gets its own.
func readLine(r io.Reader) (string, error) {
	var line []byte
	for b := make([]byte, 1); ; {
		n, err := r.Read(b)
		switch {
		case n == 1 && b[0] == '\n':
			return string(line), nil
		case n == 1 && len(line) < 64<<10:
			line = append(line, b[0])
		case err != nil && len(line) > 0 && errors.Is(err, io.EOF):
			return string(line), nil
		case err != nil:
			return "", err
		}
	}
}
