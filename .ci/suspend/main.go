//go:build linux

// Command suspend puts a machine to sleep and changes its clock while the program
// runs on it, and checks that the next message goes through. The machine is a
// virtual one (qemu) with Debian's kernel and two programs: bin/waxseal (built with
// GUI=no) and this one, which is the init process there. The machine has no network;
// `waxseal demo` is provider and proxy in one. With -root it is a Debian system with
// systemd, whose logind announces the sleep. docs/reliability.md has its results.
package main

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// success is the last line the machine prints if all is well.
const success = "suspend: all messages went through"

func main() {
	waxseal := flag.String("waxseal", "bin/waxseal", "the program, linked statically")
	root := flag.String("root", "", "`FOLDER` with a Debian: debootstrap --variant=minbase --include=systemd,dbus bookworm FOLDER")
	systemd := flag.Bool("systemd", false, "this is the virtual machine, and its init process is systemd")
	flag.Parse()
	if os.Getpid() == 1 || *systemd {
		beTheMachine(*systemd)
		return
	}
	if err := run(*waxseal, *root); err != nil {
		fmt.Fprintln(os.Stderr, "suspend:", err)
		os.Exit(1)
	}
}

// unit starts this program under systemd.
const unit = `[Unit]
Wants=dbus.service systemd-logind.service
After=dbus.service systemd-logind.service
[Service]
ExecStart=/suspend -systemd
StandardOutput=tty
TTYPath=/dev/ttyS0
`

func run(waxseal, root string) error {
	dir, err := os.MkdirTemp("", "suspend")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	kernel, err := fetchKernel(dir)
	if err != nil {
		return fmt.Errorf("fetch Debian's kernel: %w", err)
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	initrd := filepath.Join(dir, "initrd")
	boot, err := image(initrd, waxseal, self, root)
	if err != nil {
		return fmt.Errorf("write the machine's files: %w", err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 15*time.Minute)
	defer cancel()
	var said bytes.Buffer
	qemu := exec.CommandContext(ctx, "qemu-system-x86_64", "-machine", "pc", "-cpu", "max", "-m", "2048", "-nic", "none",
		"-display", "none", "-monitor", "none", "-serial", "stdio", "-no-reboot", "-kernel", kernel, "-initrd", initrd,
		"-append", "console=ttyS0 quiet panic=-1 "+boot)
	qemu.Stdout, qemu.Stderr = io.MultiWriter(os.Stdout, &said), os.Stderr
	if err := qemu.Run(); err != nil {
		return fmt.Errorf("run the machine: %w", err)
	}
	if !strings.Contains(said.String(), success) {
		return fmt.Errorf("the machine did not print %q", success)
	}
	return nil
}

// fetchKernel extracts the kernel from the package that linux-image-amd64 depends on.
func fetchKernel(dir string) (path string, err error) {
	command := func(name string, args ...string) ([]byte, error) {
		cmd := exec.Command(name, args...)
		cmd.Dir, cmd.Stderr = dir, os.Stderr
		return cmd.Output()
	}
	out, err := command("apt-cache", "depends", "--no-recommends", "--no-suggests", "linux-image-amd64")
	if err != nil {
		return "", err
	}
	_, name, ok := strings.Cut(string(out), "Depends: ")
	if !ok {
		return "", fmt.Errorf("apt-cache depends linux-image-amd64 names no package: %q", out)
	}
	name, _, _ = strings.Cut(name, "\n")
	if _, err := command("apt-get", "-qq", "download", name); err != nil {
		return "", fmt.Errorf("download %s: %w", name, err)
	}
	packages, err := filepath.Glob(filepath.Join(dir, "*.deb"))
	if err != nil || len(packages) != 1 {
		return "", fmt.Errorf("look for %s, found %q: %w", name, packages, err)
	}
	if _, err := command("dpkg-deb", "--extract", packages[0], "."); err != nil {
		return "", fmt.Errorf("unpack %s: %w", packages[0], err)
	}
	return filepath.Join(dir, "boot", strings.Replace(name, "linux-image-", "vmlinuz-", 1)), nil
}

// image writes the machine's files and returns the kernel's boot parameters.
func image(path, waxseal, self, root string) (boot string, err error) {
	f, err := os.Create(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	own := archive{}
	boot = "rdinit=/suspend"
	if root != "" { // the kernel unpacks both archives, one over the other
		pack := exec.Command("sh", "-c", "find . | cpio --quiet -o -H newc")
		pack.Dir, pack.Stdout, pack.Stderr = root, f, os.Stderr
		if err := pack.Run(); err != nil {
			return "", fmt.Errorf("pack %s: %w", root, err)
		}
		boot = "rdinit=/lib/systemd/systemd systemd.unit=suspend.service systemd.show_status=0"
		own.add("etc/systemd/system/suspend.service", 0o100644, []byte(unit))
	} else {
		for _, folder := range []string{"proc", "sys", "dev", "tmp"} {
			own.add(folder, 0o040755, nil)
		}
	}
	for name, from := range map[string]string{"suspend": self, "waxseal": waxseal} {
		data, err := os.ReadFile(from)
		if err != nil {
			return "", err
		}
		own.add(name, 0o100755, data)
	}
	own.add("TRAILER!!!", 0, nil)
	if _, err := f.Write(own.Bytes()); err != nil {
		return "", err
	}
	return boot, f.Close()
}

// archive is a cpio archive in newc format.
type archive struct {
	bytes.Buffer
	inode int
}

func (a *archive) add(name string, mode int, data []byte) {
	pad := func() { a.Write(make([]byte, -a.Len()&3)) }
	a.inode++
	fmt.Fprintf(a, "070701%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%s\x00",
		a.inode, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(name)+1, 0, name)
	pad()
	a.Write(data)
	pad()
}
