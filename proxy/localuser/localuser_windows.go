package localuser

import (
	"encoding/binary"
	"net"
	"net/netip"
	"sync"
	"time"
	"unsafe"

	"golang.org/x/sys/windows"
)

var me = sync.OnceValue(func() ID { return userOf(windows.GetCurrentProcessToken()) })

func isAdministrator(id ID) bool {
	switch id {
	case "S-1-5-18", "S-1-5-19", "S-1-5-20", "S-1-5-32-544": // the system, its services, and Administrators
		return true
	}
	return false
}

func name(id ID) string {
	if sid, err := windows.StringToSid(string(id)); err == nil {
		if account, _, _, err := sid.LookupAccount(""); err == nil {
			return account
		}
	}
	return string(id)
}

// hungUp is never true here: Windows still has the process of a connection that was closed, or
// nothing at all.
func hungUp(net.Conn) bool { return false }

// connected finds the process that has the other end, and its user.
func connected(theirs, ours netip.AddrPort) ID {
	pid, ok := connections.process(theirs, ours)
	if !ok || pid == 0 {
		return Unknown
	}
	process, err := windows.OpenProcess(windows.PROCESS_QUERY_LIMITED_INFORMATION, false, pid)
	if err != nil {
		return Unknown // usually another user's, but maybe a service that passes connections on
	}
	defer windows.CloseHandle(process)
	var token windows.Token
	if windows.OpenProcessToken(process, windows.TOKEN_QUERY, &token) != nil {
		return Unknown
	}
	defer token.Close()
	return userOf(token)
}

func userOf(token windows.Token) ID {
	u, err := token.GetTokenUser()
	if err != nil {
		return Unknown
	}
	return ID(u.User.Sid.String())
}

// fresh is how long a table is good for a connection that is in it. Windows only tells all
// connections at once, and somebody may ask about thousands.
const fresh = 100 * time.Millisecond

var connections table

// table has the process of each end of a connection on this computer.
type table struct {
	mu   sync.Mutex // guards what follows
	read time.Time
	pids map[[2]netip.AddrPort]uint32
}

func (t *table) process(theirs, ours netip.AddrPort) (pid uint32, ok bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	ends := [2]netip.AddrPort{theirs, ours}
	if time.Since(t.read) < fresh {
		if pid, ok = t.pids[ends]; ok {
			return pid, true
		}
	}
	t.pids = make(map[[2]netip.AddrPort]uint32)
	for _, v := range []version{v4, v6} {
		v.read(t.pids)
	}
	t.read = time.Now()
	pid, ok = t.pids[ends]
	return pid, ok
}

// version is where the rows of a table for one version of IP have what.
type version struct {
	family                  uint32
	length                  int // of an address
	row                     int
	local, localPort        int
	remote, remotePort, pid int
}

var (
	v4 = version{windows.AF_INET, 4, 24, 4, 8, 12, 16, 20}    // MIB_TCPROW_OWNER_PID
	v6 = version{windows.AF_INET6, 16, 56, 0, 20, 24, 44, 52} // MIB_TCP6ROW_OWNER_PID
)

var getExtendedTCPTable = windows.NewLazySystemDLL("iphlpapi.dll").NewProc("GetExtendedTcpTable")

// read adds the connections of one version of IP to pids.
func (v version) read(pids map[[2]netip.AddrPort]uint32) {
	const connectionsWithProcess = 4 // TCP_TABLE_OWNER_PID_CONNECTIONS
	if getExtendedTCPTable.Find() != nil {
		return
	}
	size := uint32(32 << 10)
	for range 5 { // it may grow in between
		rows := make([]byte, size)
		code, _, _ := getExtendedTCPTable.Call(uintptr(unsafe.Pointer(&rows[0])), uintptr(unsafe.Pointer(&size)), 0,
			uintptr(v.family), connectionsWithProcess, 0)
		switch windows.Errno(code) {
		case windows.ERROR_SUCCESS:
			v.add(pids, rows)
			return
		case windows.ERROR_INSUFFICIENT_BUFFER:
			size += size / 4
		default:
			return
		}
	}
}

func (v version) add(pids map[[2]netip.AddrPort]uint32, rows []byte) {
	count := int(binary.LittleEndian.Uint32(rows))
	for rows = rows[4:]; count > 0 && len(rows) >= v.row; count-- {
		end := func(address, port int) netip.AddrPort {
			ip, _ := netip.AddrFromSlice(rows[address : address+v.length])
			return netip.AddrPortFrom(ip.Unmap(), binary.BigEndian.Uint16(rows[port:]))
		}
		pids[[2]netip.AddrPort{end(v.local, v.localPort), end(v.remote, v.remotePort)}] = binary.LittleEndian.Uint32(rows[v.pid:])
		rows = rows[v.row:]
	}
}
