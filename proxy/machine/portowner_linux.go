package machine

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/waxseal/waxseal/proxy/localuser"
)

// portOwner finds the program that listens on a TCP port, and its user if that is another
// one. /proc/net/tcp gives the socket and its user to everybody; /proc/PID/fd gives the
// program, but only of this user's own processes.
func portOwner(port string) owner {
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		return owner{}
	}
	for _, name := range []string{"/proc/net/tcp", "/proc/net/tcp6"} {
		table, err := os.Open(name)
		if err != nil {
			continue
		}
		inode, uid := findListener(table, fmt.Sprintf(":%04X", n))
		table.Close()
		if inode == "" {
			continue
		}
		found := socketOwner("socket:[" + inode + "]")
		if user := localuser.ID(uid); user != localuser.Me() {
			found.user = user.Name()
		}
		return found
	}
	return owner{}
}

// findListener finds the inode and the user ID of a listening socket in a table of the
// kernel's. suffix is the end of its address.
func findListener(table io.Reader, suffix string) (inode, uid string) {
	const listening = "0A"
	for lines := bufio.NewScanner(table); lines.Scan(); {
		// sl local_address rem_address st tx:rx tr:tm retrnsmt uid timeout inode
		if f := strings.Fields(lines.Text()); len(f) > 9 && f[3] == listening && strings.HasSuffix(f[1], suffix) {
			return f[9], f[7]
		}
	}
	return "", ""
}

// socketOwner finds the process that has a socket open.
func socketOwner(socket string) owner {
	fds, _ := filepath.Glob("/proc/[0-9]*/fd/*")
	for _, fd := range fds {
		if target, err := os.Readlink(fd); err != nil || target != socket {
			continue
		}
		proc := filepath.Dir(filepath.Dir(fd))
		name, err := os.ReadFile(filepath.Join(proc, "comm"))
		if err != nil {
			return owner{}
		}
		process, err := strconv.Atoi(filepath.Base(proc))
		if err != nil {
			return owner{}
		}
		return owner{program: strings.TrimSpace(string(name)), process: process}
	}
	return owner{}
}
