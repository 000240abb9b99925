//go:build e2e

package e2e

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/waxseal/waxseal/proxy/providertest"
)

// What etcd can do to a fleet, beyond dying: it has no space left, it is slow, it was restored from a backup, or
// a machine does not reach it. In all of these no message is lost and no token is sent twice; whoever has no
// token any more is asked to try again later.

var passing = []string{"AUTH 454", "MAIL 451", "RCPT 451"}

// beside lets the short form run beside other tests: it waits most of the time. The long form measures.
func beside(t *testing.T) {
	if lasting == 0 {
		t.Parallel()
	}
}

// TestFleetEngine has one node of etcd, which is slow when slowness says so.
func TestFleetEngine(t *testing.T) {
	beside(t)
	var slowness atomic.Int64
	f := newFleet(t, plan{
		machines: 2, nodes: 1, etcd: []string{"--quota-backend-bytes", "4194304"},
		providers: map[string]providertest.Options{"short": {Rotate: true, TokenTTL: shortLife}, "minute": {Rotate: true, TokenTTL: time.Minute}},
		accounts:  map[string]int{"short": 10, "minute": 10},
		endpoint:  func(e string) string { return slowed(t, e, &slowness) },
	})
	for _, part := range []struct {
		name string
		run  func(*fleet)
	}{
		{"it is slow", func(f *fleet) { etcdIsSlow(f, &slowness) }}, {"it is full", etcdIsFull}, {"it is restored", etcdIsRestored},
	} {
		t.Run(part.name, func(t *testing.T) {
			f.as(t)
			part.run(f)
			for _, id := range []string{"short", "minute"} {
				if n := f.replays(id); n > 0 {
					t.Errorf("%d refresh tokens were sent twice to %s", n, id)
				}
			}
		})
		f.as(t)
	}
}

// slowed is another address of a server, from which each answer comes that many milliseconds late. Bytes stay in
// order and do not wait for each other, as on a long way.
func slowed(t *testing.T, to string, slowness *atomic.Int64) string {
	t.Helper()
	u, err := url.Parse(to)
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	relay(t, l, func() (net.Conn, error) { return net.Dial("tcp", u.Host) }, slowness)
	return "http://" + l.Addr().String()
}

// relay passes on what comes to a listener until the test ends.
func relay(t *testing.T, l net.Listener, dial func() (net.Conn, error), slowness *atomic.Int64) {
	var work sync.WaitGroup
	var mu sync.Mutex
	open := map[net.Conn]bool{}
	ended := false
	work.Go(func() {
		for {
			from, err := l.Accept()
			if err != nil {
				return
			}
			to, err := dial()
			if err != nil {
				from.Close()
				continue
			}
			mu.Lock()
			open[from], open[to] = true, true
			if ended {
				from.Close()
				to.Close()
			}
			mu.Unlock()
			work.Go(func() {
				io.Copy(to, from)
				to.Close()
			})
			work.Go(func() {
				late(from, to, slowness)
				from.Close()
				mu.Lock()
				delete(open, from)
				delete(open, to)
				mu.Unlock()
			})
		}
	})
	t.Cleanup(func() {
		l.Close()
		mu.Lock()
		ended = true
		for c := range open {
			c.Close()
		}
		mu.Unlock()
		work.Wait()
	})
}

// late copies, each piece after a while.
func late(to io.Writer, from io.Reader, slowness *atomic.Int64) {
	type piece struct {
		bytes []byte
		due   time.Time
	}
	pieces := make(chan piece, 4096)
	var work sync.WaitGroup
	work.Go(func() {
		for p := range pieces {
			time.Sleep(time.Until(p.due))
			if _, err := to.Write(p.bytes); err != nil {
				for range pieces { // until the other end is closed too
				}
			}
		}
	})
	for {
		b := make([]byte, 16<<10)
		n, err := from.Read(b)
		if n > 0 {
			pieces <- piece{b[:n], time.Now().Add(time.Duration(slowness.Load()) * time.Millisecond)}
		}
		if err != nil {
			break
		}
	}
	close(pieces)
	work.Wait()
}

// etcdIsSlow: each call takes three seconds. What is in memory costs nothing; tokens that live for five seconds are
// scarce.
func etcdIsSlow(f *fleet, slowness *atomic.Int64) {
	for _, a := range f.accounts["minute"] {
		if code := f.tries(f.machines[0].directly(), a); code != "250" {
			f.t.Fatalf("%s: %s", a, code)
		}
	}
	slowness.Store(3000)
	good := f.load(f.everywhere(), f.accounts["minute"], 500*time.Millisecond)
	scarce := f.load(f.everywhere(), f.accounts["short"], time.Second)
	time.Sleep(longer(8*time.Second, time.Minute))
	slowness.Store(0)
	good.end().judge(f.t, "etcd-slow.tokens-of-a-minute")
	scarce.end().judge(f.t, "etcd-slow.tokens-of-5s", passing...)
	figure("etcd-slow.sends-again-after", f.allSend(f.everywhere(), f.all("short", "minute")).Round(time.Millisecond))
}

// etcdIsFull: etcd takes no changes until somebody compacts it, defragments it and takes the alarm back.
func etcdIsFull(f *fleet) {
	m := f.machines[0]
	ctl := func(args ...string) string {
		f.t.Helper()
		said, err := f.etcd.Ctl(args...)
		if err != nil {
			f.t.Fatalf("etcdctl %v: %v\n%s", args, err, said)
		}
		return said
	}
	big := strings.Repeat("x", 100<<10) // an argument can have 128 kB
	full := false
	for range 200 {
		said, err := f.etcd.Ctl("put", "/other", big)
		if full = err != nil; full {
			if !strings.Contains(said, "space") {
				f.t.Fatalf("etcdctl put: %s", said)
			}
			break
		}
	}
	if !full {
		f.t.Fatal("etcd does not get full")
	}
	l := f.load(f.everywhere(), f.accounts["short"], 500*time.Millisecond)
	time.Sleep(longer(7*time.Second, 30*time.Second))
	comesTrue(f.t, "the status says what to do", func() bool {
		said := m.waxseal(0, "status")
		return strings.Contains(said, "no space") && strings.Contains(said, "defrag")
	})
	if m.ready() != http.StatusOK {
		f.t.Error("/readyz does not say that the machine can be used")
	}
	revision := between(ctl("get", "nothing", "--write-out=json"), `"revision":`, ",")
	ctl("compact", revision)
	ctl("defrag")
	ctl("alarm", "disarm")
	l.end().judge(f.t, "etcd-full", passing...)
	figure("etcd-full.sends-again-after", f.allSend(f.everywhere(), f.accounts["short"]).Round(time.Millisecond))
}

func between(text, begin, end string) string {
	_, text, _ = strings.Cut(text, begin)
	text, _, _ = strings.Cut(text, end)
	return text
}

// etcdIsRestored: the cluster is lost and comes back as it was some refreshes ago. Its refresh tokens have been
// used since; the machines still have the newer ones.
func etcdIsRestored(f *fleet) {
	backup := filepath.Join(f.dir, "backup.db")
	if said, err := f.etcd.Ctl("snapshot", "save", backup); err != nil {
		f.t.Fatalf("%v\n%s", err, said)
	}
	l := f.load(f.everywhere(), f.all("short", "minute"), 500*time.Millisecond)
	time.Sleep(longer(6*time.Second, 30*time.Second)) // at least one round of refreshes
	f.etcd.Restore(backup)
	time.Sleep(longer(6*time.Second, 30*time.Second))
	l.end().judge(f.t, "etcd-restored", passing...)
	figure("etcd-restored.sends-again-after", f.allSend(f.everywhere(), f.all("short", "minute")).Round(time.Millisecond))
}

// TestFleetCutOff: a machine in a network of its own reaches providers and mail programs, but etcd no more. It goes
// on with what it knows; afterwards it says that mail programs should try again, until it reaches etcd again.
func TestFleetCutOff(t *testing.T) {
	ip, err := exec.LookPath("ip")
	if err != nil || os.Getuid() != 0 {
		t.Skip("NOT TESTED: a machine that is cut off from etcd; this needs root and iproute2")
	}
	name := fmt.Sprintf("waxseal-fleet%d", os.Getpid())
	here, link := "203.0.113.5", fmt.Sprintf("wxf%d", os.Getpid()%1e6) // for documentation (RFC 5737)
	run := func(line string) error {
		out, err := exec.Command(ip, strings.Fields(line)...).CombinedOutput()
		if err != nil {
			return fmt.Errorf("ip %s: %w\n%s", line, err, out)
		}
		return nil
	}
	for i, line := range []string{
		"netns add " + name, "link add " + link + " type veth peer name wxpeer netns " + name,
		"addr add " + here + "/30 dev " + link, "link set " + link + " up",
		"-n " + name + " addr add 203.0.113.6/30 dev wxpeer", "-n " + name + " link set wxpeer up", "-n " + name + " link set lo up",
	} {
		if err := run(line); err != nil {
			t.Skipf("NOT TESTED: a machine that is cut off from etcd: %v", err)
		}
		if i == 0 {
			t.Cleanup(func() { run("netns del " + name) })
		}
	}
	beside(t)
	f := newFleet(t, plan{
		machines: 1, nodes: 1,
		providers: map[string]providertest.Options{"short": {Rotate: true, TokenTTL: shortLife}, "minute": {Rotate: true, TokenTTL: time.Minute}},
		accounts:  map[string]int{"short": 5, "minute": 5},
		endpoint: func(e string) string {
			u, _ := url.Parse(e)
			l, err := net.Listen("tcp", here+":0")
			if err != nil {
				t.Fatal(err)
			}
			relay(t, l, func() (net.Conn, error) { return net.Dial("tcp", u.Host) }, new(atomic.Int64))
			return "http://" + l.Addr().String()
		},
	})
	cut := f.newMachine(1)
	f.machines = append(f.machines, cut)
	cut.inside, cut.namespace = []string{ip, "netns", "exec", name}, filepath.Join("/var/run/netns", name)
	for _, p := range f.providers { // as it reaches them here, it reaches them there
		for _, at := range []string{strings.TrimPrefix(p.URL, "http://"), p.SMTPAddr} {
			var l net.Listener
			if err := within(cut.namespace, func() (err error) { l, err = net.Listen("tcp", at); return err }); err != nil {
				t.Fatal(err)
			}
			relay(t, l, func() (net.Conn, error) { return net.Dial("tcp", at) }, new(atomic.Int64))
		}
	}
	cut.configure("etcd", "")
	cut.serve()
	for _, a := range f.all("minute") {
		if code := f.tries(f.machines[0].directly(), a); code != "250" {
			t.Fatalf("%s: %s", a, code)
		}
	}

	if err := run("link set " + link + " down"); err != nil {
		t.Fatal(err)
	}
	// The other machine, on this computer, still reaches etcd: its address is still here.
	good := f.load([]target{cut.directly()}, f.accounts["minute"], 300*time.Millisecond)
	ending := f.load([]target{cut.directly()}, f.accounts["short"], 500*time.Millisecond)
	other := f.load([]target{f.machines[0].directly()}, f.accounts["short"], 300*time.Millisecond)
	time.Sleep(longer(8*time.Second, 40*time.Second))
	other.end().judge(t, "cut-off.the-other-machine", passing...) // claims of the one that is cut off are in doubt for a while
	good.end().judge(t, "cut-off.tokens-of-a-minute")
	if cut.ready() != http.StatusOK {
		t.Error("/readyz does not say that the machine can be used")
	}
	if err := run("link set " + link + " up"); err != nil {
		t.Fatal(err)
	}
	ending.end().judge(t, "cut-off.tokens-of-5s", passing...)
	figure("cut-off.sends-again-after", f.allSend(f.everywhere(), f.all("short", "minute")).Round(time.Millisecond))
	for _, id := range []string{"short", "minute"} {
		if n := f.replays(id); n > 0 {
			t.Errorf("%d refresh tokens were sent twice to %s", n, id)
		}
	}
	if said := cut.complaints(); !bytes.Contains([]byte(said), []byte("shared keystore")) {
		t.Errorf("the log does not say that etcd was away:\n%s", said)
	}
}

// within does something in a network namespace: sockets that it makes stay there.
func within(namespace string, do func() error) error {
	if namespace == "" {
		return do()
	}
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // and never unlock it: the thread ends with this goroutine
		file, err := os.Open(namespace)
		if err == nil {
			defer file.Close()
			err = unix.Setns(int(file.Fd()), unix.CLONE_NEWNET)
		}
		if err == nil {
			err = do()
		}
		done <- err
	}()
	return <-done
}
