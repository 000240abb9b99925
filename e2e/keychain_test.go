//go:build e2e

package e2e

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/godbus/dbus/v5"
)

// keychain is an unlocked GNOME Keyring on its own session bus.
type keychain struct {
	bus, daemon *process
	env         []string // for programs that use it
}

// busConfig configures a session bus that does not start any services.
const busConfig = `<busconfig><type>session</type><listen>unix:tmpdir=/tmp</listen><auth>EXTERNAL</auth>
<policy context="default"><allow send_destination="*" eavesdrop="true"/><allow eavesdrop="true"/><allow own="*"/></policy></busconfig>`

// startKeychain starts a keychain with its home in dir.
func startKeychain(dir string) (*keychain, error) {
	conf := filepath.Join(dir, "bus.conf")
	if err := os.WriteFile(conf, []byte(busConfig), 0o600); err != nil {
		return nil, err
	}
	k := &keychain{}
	for _, entry := range os.Environ() {
		name, _, _ := strings.Cut(entry, "=")
		switch {
		case name == "DISPLAY", name == "WAYLAND_DISPLAY", name == "HOME", strings.HasPrefix(name, "XDG_"),
			strings.HasPrefix(name, "DBUS_"), strings.HasPrefix(name, "WAXSEAL_"):
		default:
			k.env = append(k.env, entry)
		}
	}
	k.env = append(k.env, "HOME="+dir, "XDG_RUNTIME_DIR="+dir, "LC_ALL=C.UTF-8")
	bus := exec.Command("dbus-daemon", "--nofork", "--print-address", "--config-file="+conf)
	bus.Env = k.env
	var err error
	if k.bus, err = start(bus); err != nil {
		return nil, err
	}
	address, err := k.bus.says(`^unix:\S+`)
	if err != nil {
		return nil, errors.Join(err, k.stop())
	}
	k.env = append(k.env, "DBUS_SESSION_BUS_ADDRESS="+address[0])
	if k.daemon, err = startKeyring(k.env, true); err == nil {
		err = owned(address[0], secretsName, k.daemon.exited)
	}
	if err != nil {
		return nil, errors.Join(err, k.stop())
	}
	return k, nil
}

const secretsName = "org.freedesktop.secrets"

// startKeyring starts GNOME Keyring, unlocked or locked, on the bus of env.
func startKeyring(env []string, unlocked bool) (*process, error) {
	daemon := exec.Command("gnome-keyring-daemon", "--foreground", "--components=secrets")
	daemon.Env = env
	if unlocked {
		daemon.Args = append(daemon.Args, "--unlock")
		daemon.Stdin = strings.NewReader("login password")
	}
	return start(daemon)
}

// owned waits until somebody owns a name on a bus, or until end is closed.
func owned(address, name string, end <-chan struct{}) error {
	conn, err := dbus.Connect(address)
	if err != nil {
		return err
	}
	defer conn.Close()
	changes := make(chan *dbus.Signal, 16)
	conn.Signal(changes)
	if err := conn.AddMatchSignal(dbus.WithMatchMember("NameOwnerChanged"), dbus.WithMatchArg(0, name)); err != nil {
		return err
	}
	limit := time.After(patience)
	for {
		var has bool
		if err := conn.BusObject().Call("org.freedesktop.DBus.NameHasOwner", 0, name).Store(&has); has || err != nil {
			return err
		}
		select {
		case <-changes:
		case <-end:
			return errors.New("the keychain has ended")
		case <-limit:
			return errors.New("the keychain has not started")
		}
	}
}

func (k *keychain) stop() (err error) {
	for _, p := range []*process{k.daemon, k.bus} {
		if p != nil {
			_, ended := p.end(syscall.SIGTERM)
			err = errors.Join(err, ended)
		}
	}
	return err
}
