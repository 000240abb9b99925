//go:build !windows

package etcdtest

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// Cluster is some nodes of etcd, on loopback.
type Cluster struct {
	t     testing.TB
	args  []string
	nodes []*node
}

type node struct {
	name         string
	client, peer string // URLs
	folder       string

	mu      sync.Mutex
	cmd     *exec.Cmd
	waiting chan struct{} // closed when cmd has ended
}

// Start runs a cluster until the test ends; args go to each node.
func Start(t testing.TB, nodes int, args ...string) *Cluster {
	t.Helper()
	if _, err := exec.LookPath("etcd"); err != nil {
		t.Skip("NOT TESTED: etcd is not installed")
	}
	c := &Cluster{t: t, args: args}
	folder, host := t.TempDir(), ownHost()
	for i := range nodes {
		at := freeAddresses(t, host, 2)
		c.nodes = append(c.nodes, &node{
			name: fmt.Sprint("n", i+1), client: "http://" + at[0], peer: "http://" + at[1],
			folder: filepath.Join(folder, fmt.Sprint("n", i+1)),
		})
	}
	t.Cleanup(func() {
		for i := range c.nodes {
			c.Kill(i)
		}
	})
	for i := range c.nodes {
		c.Run(i)
	}
	c.Ready()
	return c
}

// Endpoints are the nodes' URLs.
func (c *Cluster) Endpoints() []string {
	var all []string
	for _, n := range c.nodes {
		all = append(all, n.client)
	}
	return all
}

// Run starts a node, or starts it again with the data that it has.
func (c *Cluster) Run(i int) {
	c.t.Helper()
	n := c.nodes[i]
	args := append([]string{
		"--name", n.name, "--data-dir", n.folder, "--listen-client-urls", n.client, "--advertise-client-urls", n.client,
		"--listen-peer-urls", n.peer, "--initial-advertise-peer-urls", n.peer, "--initial-cluster", c.peers(),
		"--initial-cluster-token", token, "--logger", "zap", "--log-level", "error", "--log-outputs", "stderr",
		"--unsafe-no-fsync", "--heartbeat-interval", "100", "--election-timeout", "1000",
	}, c.args...)
	cmd := exec.Command("etcd", c.known(args)...)
	cmd.Env = append(os.Environ(), "ETCDCTL_API=3")
	if err := cmd.Start(); err != nil {
		c.t.Fatal(err)
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.cmd, n.waiting = cmd, make(chan struct{})
	go func(done chan struct{}) {
		cmd.Wait()
		close(done)
	}(n.waiting)
}

const token = "waxseal-test"

// peers are all nodes, as etcd wants to be told of them.
func (c *Cluster) peers() string {
	var all []string
	for _, n := range c.nodes {
		all = append(all, n.name+"="+n.peer)
	}
	return strings.Join(all, ",")
}

// known leaves out what an older etcd does not know.
func (c *Cluster) known(args []string) []string {
	help, _ := exec.Command("etcd", "--help").CombinedOutput()
	if strings.Contains(string(help), "unsafe-no-fsync") {
		return args
	}
	var kept []string
	for _, a := range args {
		if a != "--unsafe-no-fsync" {
			kept = append(kept, a)
		}
	}
	return kept
}

// Kill ends a node at once, as a power cut would.
func (c *Cluster) Kill(i int) {
	n := c.nodes[i]
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.cmd != nil {
		n.cmd.Process.Kill()
		<-n.waiting
		n.cmd = nil
	}
}

// Restore puts a backup that `etcdctl snapshot save` made in the place of the data of all nodes, as an administrator
// does after a disaster, and starts them.
func (c *Cluster) Restore(file string) {
	c.t.Helper()
	program := "etcdctl"
	if _, err := exec.LookPath("etcdutl"); err == nil { // it does this from etcd 3.5 on
		program = "etcdutl"
	}
	for i, n := range c.nodes {
		c.Kill(i)
		if err := os.RemoveAll(n.folder); err != nil {
			c.t.Fatal(err)
		}
		cmd := exec.Command(program, "snapshot", "restore", file, "--name", n.name, "--data-dir", n.folder, "--initial-cluster", c.peers(),
			"--initial-cluster-token", token, "--initial-advertise-peer-urls", n.peer)
		cmd.Env = append(os.Environ(), "ETCDCTL_API=3")
		if said, err := cmd.CombinedOutput(); err != nil {
			c.t.Fatalf("%s snapshot restore: %v\n%s", program, err, said)
		}
	}
	for i := range c.nodes {
		c.Run(i)
	}
	c.Ready()
}

// Hang stops a node without a word until Resume.
func (c *Cluster) Hang(i int) { c.signal(i, syscall.SIGSTOP) }

// Resume lets a node that hangs go on.
func (c *Cluster) Resume(i int) { c.signal(i, syscall.SIGCONT) }

func (c *Cluster) signal(i int, s syscall.Signal) {
	n := c.nodes[i]
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.cmd != nil {
		n.cmd.Process.Signal(s)
	}
}

// Leader is the number of the node that leads; -1 if there is none.
func (c *Cluster) Leader() int {
	for i, n := range c.nodes {
		out, err := c.Ctl("endpoint", "status", "--write-out=simple", "--endpoints="+n.client)
		fields := strings.Split(out, ", ")
		if err == nil && len(fields) > 4 && fields[4] == "true" {
			return i
		}
	}
	return -1
}

// Ctl runs etcdctl with all endpoints, unless the arguments name others.
func (c *Cluster) Ctl(args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	if !strings.Contains(strings.Join(args, " "), "--endpoints") {
		args = append(args, "--endpoints="+strings.Join(c.Endpoints(), ","))
	}
	cmd := exec.CommandContext(ctx, "etcdctl", args...)
	cmd.Env = append(os.Environ(), "ETCDCTL_API=3")
	out, err := cmd.CombinedOutput()
	return strings.TrimSpace(string(out)), err
}

// Ready waits until all nodes that run have a leader.
func (c *Cluster) Ready() {
	c.t.Helper()
	client := &http.Client{Timeout: time.Second}
	defer client.CloseIdleConnections()
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		well := true
		for _, n := range c.nodes {
			answer, err := client.Get(n.client + "/health")
			if err != nil {
				well = false
				break
			}
			answer.Body.Close()
			well = well && answer.StatusCode == http.StatusOK
		}
		if well {
			return
		}
	}
	c.t.Fatal("etcd did not become ready within a minute")
}

// clusters counts those that this process has started.
var clusters atomic.Int32

// ownHost is an address on loopback for one cluster. A node that is started again needs the port that it had;
// on 127.0.0.1 some connection could have taken it in the meantime. Only Linux has other addresses.
func ownHost() string {
	if runtime.GOOS != "linux" {
		return "127.0.0.1"
	}
	pid := os.Getpid()
	return fmt.Sprintf("127.%d.%d.%d", 100+pid/250%100, 1+pid%250, 1+(clusters.Add(1)-1)%100)
}

// freeAddresses are addresses on which nobody listens.
func freeAddresses(t testing.TB, host string, n int) (all []string) {
	t.Helper()
	for range n {
		l, err := net.Listen("tcp", net.JoinHostPort(host, "0"))
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		all = append(all, l.Addr().String())
	}
	return all
}
