package main

import (
	"fmt"
	"os"
	"runtime"
	"strings"
	"time"
)

const beginMark, endMark = "<!-- begin %s: written by make bench -->\n", "<!-- end -->\n"

// String is a result on one line.
func (r result) String() string {
	sign, verdict := "≥", "reached"
	if r.atMost {
		sign = "≤"
	}
	if !r.ok() {
		verdict = "MISSED"
	}
	return fmt.Sprintf("%-66s %8.2f  (%s %g: %s)  %s", r.what, r.ratio, sign, r.limit, verdict, r.got)
}

// write puts the tables that were measured between their marks in a file.
func (b *bench) write(path string) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	for name, results := range b.results {
		begin := fmt.Sprintf(beginMark, name)
		head, rest, found := strings.Cut(string(text), begin)
		_, tail, ended := strings.Cut(rest, endMark)
		if !found || !ended {
			return fmt.Errorf("%s has no place for the table: it needs the lines %q and %q", path, begin, endMark)
		}
		text = []byte(head + begin + table(results) + endMark + tail)
	}
	return os.WriteFile(path, text, 0o644)
}

func table(results []result) string {
	var t strings.Builder
	fmt.Fprintf(&t, "Measured on %s: %d CPUs (%s), %s, %s.\n\n", time.Now().Format("2006-01-02"), runtime.NumCPU(), cpuName(), memory(), runtime.Version())
	t.WriteString("| case | ratio or figure | target | reached | measured |\n|---|---:|---:|---|---|\n")
	for _, r := range results {
		sign, mark := "≥", "yes"
		if r.atMost {
			sign = "≤"
		}
		if !r.ok() {
			mark = "**no**"
		}
		fmt.Fprintf(&t, "| %s | %.2f | %s %g | %s | %s |\n", r.what, r.ratio, sign, r.limit, mark, r.got)
	}
	return t.String()
}

// cpuName and memory say what kind of machine it was (proc(5)).
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
