// Command tests runs `go test` with the arguments it is given and prints what
// matters to a reader: one line for each package, the whole output of each test
// that failed, the reason for each test that was skipped, what tests have measured (lines
// that begin with "fleet: "), and how many tests passed and failed.
//
// Its exit code is 1 if a test failed or a package did not build. In continuous
// integration, where CI is set, a test also fails if it was skipped because something is
// not installed.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strings"
)

// event is one line of `go test -json` (go doc test2json).
type event struct {
	Action  string
	Package string
	Test    string
	Elapsed float64
	Output  string
}

// summary counts tests and keeps the output of those that are still running.
type summary struct {
	passed, failed, skipped int
	complete                bool // nothing may be missing
	output                  map[string]*strings.Builder
	failedIn                map[string]bool // packages with a failed test
}

// missing is what a test says that needs a program which is not installed here.
var missing = regexp.MustCompile(`NOT TESTED.*(\b[Ii]nstall\b|not installed)`)

func main() {
	cmd := exec.Command("go", append([]string{"test", "-json"}, os.Args[1:]...)...)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "tests:", err)
		os.Exit(1)
	}
	s := summary{complete: os.Getenv("CI") != "", output: map[string]*strings.Builder{}, failedIn: map[string]bool{}}
	lines := bufio.NewReader(out)
	for {
		line, err := lines.ReadBytes('\n')
		var e event
		switch {
		case len(line) == 0:
		case json.Unmarshal(line, &e) == nil:
			s.add(e)
		default:
			os.Stdout.Write(line) // not from test2json, so meant for people
		}
		if err != nil {
			break
		}
	}
	err = cmd.Wait()
	if s.skipped > 0 {
		fmt.Printf("%d skipped\n", s.skipped)
	}
	if err != nil && s.failed == 0 {
		s.failed = 1 // go test itself failed, for example because a package does not exist
	}
	fmt.Printf("%d passed, %d failed\n", s.passed, s.failed)
	if s.failed > 0 {
		os.Exit(1)
	}
}

// add takes one event. Each subtest counts as a test, as in the output of go test -v.
func (s *summary) add(e event) {
	key := e.Package + " " + e.Test
	switch e.Action {
	case "build-output":
		fmt.Print(e.Output)
	case "output":
		if strings.HasPrefix(e.Output, "fleet: ") {
			fmt.Print(e.Output)
			return
		}
		if s.output[key] == nil {
			s.output[key] = new(strings.Builder)
		}
		s.output[key].WriteString(e.Output)
	case "pass", "fail", "skip":
		if e.Test == "" {
			s.endPackage(e, key)
		} else {
			s.endTest(e, key)
		}
		delete(s.output, key)
	}
}

func (s *summary) endTest(e event, key string) {
	switch e.Action {
	case "pass":
		s.passed++
		return
	case "fail":
		s.failed++
		s.failedIn[e.Package] = true
	case "skip":
		s.skipped++
		if b := s.output[key]; s.complete && b != nil && missing.MatchString(b.String()) {
			s.failed++
			s.failedIn[e.Package] = true
			b.WriteString("FAILED: in continuous integration, everything has to be installed\n")
		}
	}
	s.print(key)
}

func (s *summary) endPackage(e event, key string) {
	switch e.Action {
	case "pass":
		fmt.Printf("ok    %-50s %.1fs\n", e.Package, e.Elapsed)
	case "skip":
		fmt.Printf("-     %-50s no tests\n", e.Package)
	case "fail":
		// A test that was running when the package crashed has no final event.
		for open := range s.output {
			if open != key && strings.HasPrefix(open, key) {
				s.print(open)
				delete(s.output, open)
			}
		}
		if !s.failedIn[e.Package] {
			s.failed++ // it did not build, or crashed outside a test
		}
		s.print(key)
	}
}

func (s *summary) print(key string) {
	if b := s.output[key]; b != nil {
		fmt.Print(b.String())
	}
}
