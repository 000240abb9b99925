package main

// Rules for everything the user sees:
//
//   - What was asked for goes to standard output. Everything else, from "it is
//     running" to what went wrong, goes to standard error, so that output can be
//     piped. With --json, standard output is JSON and nothing else.
//   - Each line on standard error starts with "waxseal: " and is one sentence
//     without a capital at its start and without a full stop.
//   - An error says what happened and then what to do. Where the second part is
//     not in the sentence already it follows on a line of its own, "hint: ".
//   - Nothing that came from a provider reaches a terminal before clean has
//     taken the control characters out.
//   - No secret is shown but the local password, and that only by the
//     commands whose purpose it is: account add, account password, credential.

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"
	"time"
	"unicode"

	"golang.org/x/term"

	"github.com/waxseal/waxseal/keystore"
	"github.com/waxseal/waxseal/proxy/control"
)

// errTold fails a command that has already said why.
var errTold = errors.New("failed; the reason was printed")

// usageError is a mistake in how the command was called, found after it began.
type usageError struct{ error }

// hint is an error with what to do about it.
type hint struct {
	error
	cure string
}

func (h *hint) Unwrap() error { return h.error }

// Cure is for the control socket.
func (h *hint) Cure() string { return h.cure }

func withCure(err error, cure string) error { return &hint{err, cure} }

// cureOf finds what to do about an error; "" if that is not known.
func cureOf(err error) string {
	var (
		own      *hint
		answered *control.Error
		running  *control.RunningError
	)
	switch {
	case errors.As(err, &own):
		return own.cure
	case errors.As(err, &answered):
		return answered.Cure
	case errors.As(err, &running):
		return "stop it first (`waxseal status` shows what it is doing), or use another configuration with --config"
	case errors.Is(err, control.ErrNotRunning):
		return "start it with `waxseal serve`"
	}
	return keystore.Cure(err)
}

// say prints a line to standard error.
func (m *Main) say(format string, args ...any) {
	fmt.Fprintln(m.Err, "waxseal: "+clean(fmt.Sprintf(format, args...)))
}

// printError prints an error, which may be several, and its cure.
func (m *Main) printError(err error) {
	parts := []error{err}
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		parts = joined.Unwrap()
	}
	for _, part := range parts {
		text := part.Error()
		if errors.Is(part, context.Canceled) { // only Ctrl-C ends a command's context
			text = "interrupted"
		}
		for line := range strings.Lines(text) {
			if line = strings.TrimSpace(line); line != "" {
				m.say("%s", line)
			}
		}
	}
	if cure := cureOf(err); cure != "" {
		m.say("hint: %s", cure)
	}
}

// printJSON prints v for other programs.
func (m *Main) printJSON(v any) error {
	e := json.NewEncoder(m.Out)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	return e.Encode(v)
}

// table prints rows in columns. The first row is the heading.
func table(w io.Writer, rows [][]string) {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, row := range rows {
		for i, cell := range row {
			row[i] = clean(cell)
		}
		fmt.Fprintln(t, strings.TrimRight(strings.Join(row, "\t"), "\t"))
	}
	t.Flush()
}

// clean removes the characters that a terminal would obey: providers choose their own words.
func clean(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) || r == unicode.ReplacementChar {
			return ' '
		}
		return r
	}, s)
}

// rough is a duration in its largest unit.
func rough(d time.Duration) string {
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%d s", max(0, int(d.Seconds())))
	case d < time.Hour:
		return fmt.Sprintf("%d min", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%d h", int(d.Hours()))
	}
	return fmt.Sprintf("%d days", int(d.Hours()/24))
}

// isTerminal reports whether a stream is a terminal, where somebody types and reads. The null
// device is a character device too, but not a terminal.
func isTerminal(stream any) bool {
	f, ok := stream.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}
