package main

import (
	"bytes"
	"fmt"
	"os"
	"runtime"
	"strings"
	"time"
)

const beginMark, endMark = "<!-- begin: written by make bench -->\n", "<!-- end -->\n"

// String gives a result on one line.
func (r result) String() string {
	sign, verdict := "≥", "reached"
	if r.atMost {
		sign = "≤"
	}
	if !r.ok() {
		verdict = "MISSED"
	}
	return fmt.Sprintf("%-44s %8.2f  (%s %g: %s)  %s", r.what, r.ratio, sign, r.limit, verdict, r.got)
}

// write writes the table to a file, between its two marks.
func (b *bench) write(path string) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	head, rest, found := bytes.Cut(text, []byte(beginMark))
	_, tail, ended := bytes.Cut(rest, []byte(endMark))
	if !found || !ended {
		return fmt.Errorf("%s has no place for the table, which goes between the lines %q and %q", path, beginMark, endMark)
	}
	var t strings.Builder
	fmt.Fprintf(&t, "Measured on %s: %d CPUs (%s), %s, %s.\n\n", time.Now().Format("2006-01-02"), runtime.NumCPU(), cpuName(), memory(), runtime.Version())
	t.WriteString("| measurement | ratio or figure | target | met | details |\n|---|---:|---:|---|---|\n")
	for _, r := range b.results {
		sign, mark := "≥", "yes"
		if r.atMost {
			sign = "≤"
		}
		if !r.ok() {
			mark = "**no**"
		}
		fmt.Fprintf(&t, "| %s | %.2f | %s %g | %s | %s |\n", r.what, r.ratio, sign, r.limit, mark, r.got)
	}
	return os.WriteFile(path, bytes.Join([][]byte{head, []byte(beginMark), []byte(t.String()), []byte(endMark), tail}, nil), 0o644)
}

// cpuName and memory describe the machine (proc(5)).
func cpuName() string {
	return procField("/proc/cpuinfo", "model name", "unknown")
}

func memory() string {
	return procField("/proc/meminfo", "MemTotal", "memory unknown")
}

func procField(file, name, otherwise string) string {
	data, err := os.ReadFile(file)
	if err != nil {
		return otherwise
	}
	for line := range strings.Lines(string(data)) {
		if key, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(key) == name {
			return strings.TrimSpace(value)
		}
	}
	return otherwise
}
