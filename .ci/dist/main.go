// Command dist makes what a release consists of, in the folder DIR:
//
//	dist headless VERSION DIR           the program without a window for every system, and its Linux packages
//	dist desktop VERSION DIR            the Linux packages with tray icon and window, for this machine's architecture
//	dist image VERSION DIR              container images of the program without a window
//	dist notices headless|desktop FILE  the licences of everything linked into one of the two programs
//	dist sums DIR                       SHA256SUMS of everything there, signed if MINISIGN_KEY holds a key
//	dist feed VERSION FILE              what tells running programs of a release, signed with MINISIGN_KEY
//
// The same commit, Go and compiler give the same bytes, in any folder and at any time: all dates are
// the commit's (SOURCE_DATE_EPOCH, if that is set), archives are sorted and name no owner. CLIENTS
// and UPDATE_KEY are built into the programs, as for `make build`. TARGETS chooses systems, such as
// linux/amd64, for a quick try.
package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "dist:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) == 2 && args[0] == "sums" {
		return sums(args[1])
	}
	if len(args) != 3 {
		return errors.New("what to make? See the comment in .ci/dist/main.go")
	}
	what, which, where := args[0], args[1], args[2]
	switch what {
	case "notices":
		text, err := notices(which == "desktop")
		if err != nil {
			return err
		}
		return os.WriteFile(where, text, 0o644)
	case "feed":
		return feed(which, where)
	}
	r, err := newRelease(which, where)
	if err != nil {
		return err
	}
	defer os.RemoveAll(r.scratch)
	switch what {
	case "headless":
		return r.headless()
	case "desktop":
		return r.desktop()
	case "image":
		return r.images()
	}
	return fmt.Errorf("%q is not something to make", what)
}

// release is what all files of a release share.
type release struct {
	version string    // as `git describe` gives it, such as v0.9.0-rc1
	date    time.Time // of the commit
	dir     string    // where its files go
	scratch string
}

func newRelease(version, dir string) (*release, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	epoch := os.Getenv("SOURCE_DATE_EPOCH")
	if epoch == "" {
		out, err := exec.Command("git", "log", "-1", "--format=%ct").Output()
		if err != nil {
			return nil, fmt.Errorf("ask git for the commit's date: %w", err)
		}
		epoch = strings.TrimSpace(string(out))
		os.Setenv("SOURCE_DATE_EPOCH", epoch) // for the programs that this one starts
	}
	seconds, err := strconv.ParseInt(epoch, 10, 64)
	if err != nil {
		return nil, fmt.Errorf("SOURCE_DATE_EPOCH: %w", err)
	}
	scratch, err := os.MkdirTemp("", "waxseal-dist-")
	return &release{version: version, date: time.Unix(seconds, 0).UTC(), dir: dir, scratch: scratch}, err
}

// targets are the systems and architectures to build for: all, or those that TARGETS names.
func targets(all ...string) []string {
	if some := strings.Fields(os.Getenv("TARGETS")); len(some) > 0 {
		return some
	}
	return all
}

// headless makes an archive for each system and the Linux packages of the program without a window.
func (r *release) headless() error {
	for _, target := range targets("linux/amd64", "linux/arm64", "darwin/amd64", "darwin/arm64", "windows/amd64", "windows/arm64") {
		system, arch, _ := strings.Cut(target, "/")
		fmt.Println("==", target)
		program, err := r.build(system, arch, "static", "GUI=no")
		if err != nil {
			return err
		}
		name := fmt.Sprintf("waxseal-%s-%s-%s", r.version, system, arch)
		if system != "linux" {
			err = r.plainArchive(name, program, system)
		} else {
			err = r.packages("waxseal-headless", name, program, arch)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// desktop makes the Linux packages of the program with its window. It is compiled for the machine
// that this runs on, because it needs a C compiler and the libraries.
func (r *release) desktop() error {
	arch, err := output("go", "env", "GOARCH")
	if err != nil {
		return err
	}
	program, err := r.build("linux", arch, "pie", "GUI=yes")
	if err != nil {
		return err
	}
	return r.packages("waxseal", fmt.Sprintf("waxseal-%s-linux-%s-desktop", r.version, arch), program, arch)
}

// build compiles the program with `make build`. A "pie" can be loaded anywhere, and nothing that
// the loader has filled in can be written afterwards; it needs the C library's loader, so the
// archives have a "static" program, which runs on any Linux.
func (r *release) build(system, arch, mode, gui string) (program string, err error) {
	out := filepath.Join(r.scratch, system+"-"+arch+"-"+mode)
	cmd := exec.Command("make", "--no-print-directory", "build", gui, "VERSION="+r.version, "OUT="+out+"/", "CLIENTS="+os.Getenv("CLIENTS"))
	// Nothing of the folder goes in: whether it is a repository, and whether files were changed there.
	flags := "GOFLAGS=-buildvcs=false"
	if mode == "pie" {
		cmd.Args = append(cmd.Args, "LINK=-bindnow")
		flags += " -buildmode=pie"
	}
	cmd.Env = append(os.Environ(), "GOOS="+system, "GOARCH="+arch, flags)
	cmd.Stdout, cmd.Stderr = os.Stderr, os.Stderr
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("build for %s/%s: %w", system, arch, err)
	}
	program = filepath.Join(out, "waxseal")
	if system == "windows" {
		program += ".exe"
	}
	return program, nil
}

// output is what a program prints, without the last line's end.
func output(name string, args ...string) (string, error) {
	cmd := exec.Command(name, args...)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("%s %s: %w", name, strings.Join(args, " "), err)
	}
	return strings.TrimSuffix(string(out), "\n"), nil
}
