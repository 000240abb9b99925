package localuser

import (
	"encoding/binary"
	"net"
	"net/netip"
	"os"
	"os/user"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

func me() ID { return ID(strconv.Itoa(os.Geteuid())) }

func isAdministrator(id ID) bool { return id == "0" }

func name(id ID) string {
	if u, err := user.LookupId(string(id)); err == nil {
		return u.Username
	}
	return string(id)
}

// Parts of linux/sock_diag.h and linux/inet_diag.h that package unix lacks.
const (
	sockDiagByFamily = 20
	idSize           = 48 // inet_diag_sockid
	requestSize      = unix.NLMSG_HDRLEN + 8 + idSize
	answerSize       = unix.NLMSG_HDRLEN + 4 + idSize + 20 // inet_diag_msg
	loopbackIndex    = 1                                   // LOOPBACK_IFINDEX, the same in every network namespace
)

// connected asks the kernel for the socket that has these addresses, one end of which is
// theirs. The kernel answers before sendto returns, so nothing here waits.
func connected(theirs, ours netip.AddrPort) ID {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_SOCK_DIAG)
	if err != nil {
		return Unknown
	}
	defer unix.Close(fd)
	if unix.Sendto(fd, request(theirs, ours), 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}) != nil {
		return Unknown
	}
	var answer [512]byte
	n, _, err := unix.Recvfrom(fd, answer[:], unix.MSG_DONTWAIT)
	if err != nil {
		return Unknown
	}
	return userIn(answer[:n], ours)
}

// request is an inet_diag_req_v2 for one socket. It names the loopback interface, because a socket
// that is bound to it (SO_BINDTODEVICE) would not be found otherwise.
func request(theirs, ours netip.AddrPort) []byte {
	family := byte(unix.AF_INET6)
	if theirs.Addr().Is4() { // this finds IPv6 sockets with IPv4-mapped addresses too
		family = unix.AF_INET
	}
	b := make([]byte, 0, requestSize)
	b = binary.NativeEndian.AppendUint32(b, requestSize)
	b = binary.NativeEndian.AppendUint16(b, sockDiagByFamily)
	b = binary.NativeEndian.AppendUint16(b, unix.NLM_F_REQUEST)
	b = append(b, make([]byte, 8)...) // sequence and port ID
	b = append(b, family, unix.IPPROTO_TCP, 0, 0)
	b = binary.NativeEndian.AppendUint32(b, ^uint32(0)) // any state
	b = binary.BigEndian.AppendUint16(b, theirs.Port())
	b = binary.BigEndian.AppendUint16(b, ours.Port())
	for _, end := range []netip.AddrPort{theirs, ours} {
		var address [16]byte
		copy(address[:], end.Addr().AsSlice())
		b = append(b, address[:]...)
	}
	b = binary.NativeEndian.AppendUint32(b, loopbackIndex)
	return binary.NativeEndian.AppendUint64(b, ^uint64(0)) // no cookie
}

// userIn reads the user from an inet_diag_msg. The kernel looks for a listening socket if no
// connection has the addresses, and calls a socket that its program has closed root's.
func userIn(answer []byte, ours netip.AddrPort) ID {
	if len(answer) < answerSize || binary.NativeEndian.Uint16(answer[4:]) != sockDiagByFamily {
		return Unknown
	}
	m := answer[unix.NLMSG_HDRLEN:]
	state, port := m[1], binary.BigEndian.Uint16(m[6:])
	uid, inode := binary.NativeEndian.Uint32(m[64:]), binary.NativeEndian.Uint32(m[68:])
	switch {
	case state == unix.BPF_TCP_LISTEN || port != ours.Port():
		return Unknown
	case inode == 0:
		return Gone
	}
	return owner(uid)
}

// hungUp reports whether the other end has closed a connection.
func hungUp(c net.Conn) bool {
	sc, ok := c.(syscall.Conn)
	if !ok {
		return false
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return false
	}
	closed := false
	err = raw.Control(func(fd uintptr) {
		info, err := unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO)
		closed = err == nil && info.State != unix.BPF_TCP_ESTABLISHED
	})
	return err == nil && closed
}

const (
	nobody      = 65534 // the user that a user namespace shows in place of those it does not know
	subordinate = 65536 // no user ID below it is lent to another user, see subuid(5)
)

// owner is the user who answers for a user ID: one who has borrowed 65,536 more for containers
// (subuid(5)) is still one user.
func owner(uid uint32) ID {
	switch {
	case uid == nobody && inNamespace():
		return Unknown
	case uid >= subordinate:
		if lent, err := os.ReadFile("/etc/subuid"); err == nil {
			if id := borrower(string(lent), uid); id != Unknown {
				return id
			}
		}
	}
	return ID(strconv.FormatUint(uint64(uid), 10))
}

// inNamespace reports whether this process does not see all users (user_namespaces(7)).
func inNamespace() bool {
	m, err := os.ReadFile("/proc/self/uid_map")
	f := strings.Fields(string(m))
	return err != nil || len(f) != 3 || f[2] != "4294967295"
}

// borrower finds the user to whom a user ID is lent. A line is user:first:count, and the user is a
// name or an ID.
func borrower(lent string, uid uint32) ID {
	for line := range strings.Lines(lent) {
		f := strings.Split(strings.TrimSpace(line), ":")
		if len(f) != 3 {
			continue
		}
		first, err1 := strconv.ParseUint(f[1], 10, 32)
		count, err2 := strconv.ParseUint(f[2], 10, 32)
		if err1 != nil || err2 != nil || uint64(uid) < first || uint64(uid) >= first+count {
			continue
		}
		if u, err := user.Lookup(f[0]); err == nil {
			return ID(u.Uid)
		}
		if _, err := strconv.ParseUint(f[0], 10, 32); err == nil {
			return ID(f[0])
		}
	}
	return Unknown
}
