package main

import (
	"bufio"
	"context"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestFollow: whole lines are shown as they are written, also after a rotation.
func TestFollow(t *testing.T) {
	file := filepath.Join(t.TempDir(), "waxseal.log")
	appendTo := func(text string) {
		t.Helper()
		f, err := os.OpenFile(file, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		if _, err := f.WriteString(text); err != nil {
			t.Fatal(err)
		}
	}
	appendTo("one\ntwo\nthree\n")
	out, in := io.Pipe()
	m := &Main{Out: in}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- m.showLog(ctx, file, 2, true) }()
	lines := bufio.NewReader(out)
	want := func(texts ...string) {
		t.Helper()
		for _, text := range texts {
			if got, err := lines.ReadString('\n'); err != nil || got != text+"\n" {
				t.Fatalf("got %q, %v, want %q", got, err, text)
			}
		}
	}
	want("two", "three")
	appendTo("fo")
	appendTo("ur\n\x1b[31mfive\n")
	want("four", " [31mfive")
	appendTo("six\n")
	if err := os.Rename(file, file+".1"); err != nil {
		t.Fatal(err)
	}
	appendTo("seven\n")
	want("six", "seven")
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

func TestLastLines(t *testing.T) {
	for _, n := range []int{0, 1, 3, 5000} {
		text := strings.Repeat("a\n", 3000) + "b\nc\n"
		got, err := lastLines(strings.NewReader(text), n)
		if err != nil || len(got) != min(n, 3002) || n > 0 && got[len(got)-1] != "c" {
			t.Errorf("the last %d: %d lines, %v", n, len(got), err)
		}
	}
}

func TestDefaultLogFile(t *testing.T) {
	m := &Main{Getenv: func(name string) string {
		return map[string]string{"HOME": "/home/me", "XDG_STATE_HOME": "relative", "LocalAppData": `C:\Users\me\AppData\Local`}[name]
	}}
	file, err := m.defaultLogFile()
	if err != nil || filepath.Base(file) != "waxseal.log" || strings.Contains(file, "relative") {
		t.Errorf("%q, %v", file, err)
	}
	m.Getenv = func(string) string { return "" }
	if file, err := m.defaultLogFile(); err == nil {
		t.Errorf("without an environment: %q", file)
	}
}
