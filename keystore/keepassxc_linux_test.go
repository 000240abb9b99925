package keystore

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/godbus/dbus/v5"
)

func init() { helpers["keepassxc"] = keepassxcSteps }

// The real KeePassXC, with a database that it offers as a Secret Service.
func TestKeePassXC(t *testing.T) {
	if _, err := exec.LookPath("keepassxc-cli"); err != nil {
		t.Skip("NOT TESTED: KeePassXC. Install the package keepassxc.")
	}
	onBus(t, "keepassxc", plainBus, "DISPLAY="+screen(t), "QT_QPA_PLATFORM=xcb")
}

// screen is a new X server's name.
func screen(t *testing.T) string {
	t.Helper()
	if _, err := exec.LookPath("Xvfb"); err != nil {
		t.Skip("NOT TESTED: keychains with a screen. Install the package xvfb.")
	}
	cmd := exec.Command("Xvfb", "-displayfd", "1", "-nolisten", "tcp", "-screen", "0", "1024x768x24")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
	number, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	return ":" + strings.TrimSpace(number)
}

const (
	keepassSettings = `[General]
ConfigVersion=2
[GUI]
CheckForUpdates=false
[FdoSecrets]
Enabled=true
ConfirmAccessItem=false
ConfirmDeleteItem=false
ShowNotification=false
`
	// The group with this UUID, in base64 below, is what other programs see.
	keepassDatabase = `<?xml version="1.0" encoding="UTF-8" standalone="yes"?>
<KeePassFile><Meta><Generator>test</Generator><DatabaseName>test</DatabaseName><CustomData><Item>
<Key>FDO_SECRETS_EXPOSED_GROUP</Key><Value>{01234567-89ab-cdef-0123-456789abcdef}</Value></Item></CustomData></Meta>
<Root><Group><UUID>ASNFZ4mrze8BI0VniavN7g==</UUID><Name>Root</Name>
<Group><UUID>ASNFZ4mrze8BI0VniavN7w==</UUID><Name>Waxseal</Name></Group></Group></Root></KeePassFile>
`
)

func keepassxcSteps() error {
	home := os.Getenv("HOME")
	settings := filepath.Join(home, ".config", "keepassxc")
	database := filepath.Join(home, "test.kdbx")
	text := filepath.Join(home, "test.xml")
	create := exec.Command("keepassxc-cli", "import", "-p", text, database)
	create.Stdin = strings.NewReader("database password\ndatabase password\n")
	if err := errors.Join(
		os.MkdirAll(settings, 0o700),
		os.WriteFile(filepath.Join(settings, "keepassxc.ini"), []byte(keepassSettings), 0o600),
		os.WriteFile(text, []byte(keepassDatabase), 0o600),
		create.Run()); err != nil {
		return err
	}
	conn, err := dbus.ConnectSessionBus()
	if err != nil {
		return err
	}
	s := System(testService)
	defer s.Close()
	secrets := map[string]string{}
	for _, n := range []int{100, 1500, 2560, 4096, 8192} {
		secrets[fmt.Sprintf("refresh/%d@example.org", n)] = strings.Repeat("1//0e-_.~aB9\n", n/13+1)[:n]
	}

	ctx := context.Background()
	stop, collection, err := startKeePassXC(conn, database)
	if err != nil {
		return err
	}
	for key, secret := range secrets {
		if err := errors.Join(s.Set(ctx, key, "before"), s.Set(ctx, key, secret)); err != nil {
			return err
		}
	}
	for _, when := range []string{"stored", "started again"} {
		for key, want := range secrets {
			if got, err := s.Get(ctx, key); err != nil || got != want {
				return fmt.Errorf("%s: %s: %d bytes, %w", when, key, len(got), err)
			}
		}
		if when == "stored" {
			if err := saved(s, database, secrets); err != nil {
				return err
			}
			stop()
			if err := expect(s, ErrMissing); err != nil {
				return err
			}
			if stop, collection, err = startKeePassXC(conn, database); err != nil {
				return err
			}
		}
	}
	defer stop()

	_, err = awaitLocked(conn, true, func() error { return lock(conn, collection) })
	if err != nil {
		return err
	}
	// Its unlock prompt is open now, and nobody answers it. This test waits only a
	// second for that; after it the keychain counts as locked.
	s.backend.(*system).guard.limit, s.backend.(*system).guard.stop = time.Second, time.Second
	if _, err := s.Get(ctx, "refresh/100@example.org"); !errors.Is(err, ErrTimeout) || Cure(err) == "" {
		return fmt.Errorf("prompt open: %w", err)
	}
	s.backend.(*system).guard.turn <- struct{}{} // the call has ended
	<-s.backend.(*system).guard.turn
	return expect(s, ErrLocked)
}

// saved waits until KeePassXC has written all secrets to its database: it does so
// a moment after each change, and forgets about a change that it gets while it is
// writing until there is another one.
func saved(s *Store, database string, secrets map[string]string) error {
	for i := range 100 {
		export := exec.Command("keepassxc-cli", "export", "-q", database)
		export.Stdin = strings.NewReader("database password\n")
		out, err := export.Output() // fails while the file is replaced
		text := strings.ReplaceAll(string(out), "&#xA;", "\n")
		all := err == nil
		for _, secret := range secrets {
			all = all && strings.Contains(text, ">"+secret+"</Value>")
		}
		if all {
			return nil
		}
		if err := s.Set(context.Background(), "another change", fmt.Sprint(i)); err != nil {
			return err
		}
	}
	return errors.New("KeePassXC does not save all secrets")
}

// startKeePassXC starts KeePassXC and waits until the database is open, which is a
// while after KeePassXC owns the name.
func startKeePassXC(conn *dbus.Conn, database string) (stop func(), collection dbus.ObjectPath, err error) {
	cmd := exec.Command("keepassxc", "--pw-stdin", database)
	cmd.Stdin = strings.NewReader("database password\n")
	stop = func() {
		cmd.Process.Signal(syscall.SIGTERM)
		// KeePassXC sometimes misses the signal on a busy machine. By then it has saved
		// its database.
		defer time.AfterFunc(5*time.Second, func() { cmd.Process.Kill() }).Stop()
		cmd.Wait()
	}
	collection, err = awaitLocked(conn, false, cmd.Start)
	return stop, collection, err
}

// awaitLocked calls do, which locks or unlocks the first collection, and waits until
// that has happened.
func awaitLocked(conn *dbus.Conn, want bool, do func() error) (collection dbus.ObjectPath, err error) {
	signals := make(chan *dbus.Signal, 64)
	conn.Signal(signals)
	defer conn.RemoveSignal(signals)
	for _, member := range []string{"CollectionCreated", "CollectionChanged", "PropertiesChanged", "NameOwnerChanged", "Completed"} {
		if err := conn.AddMatchSignal(dbus.WithMatchMember(member)); err != nil {
			return "", err
		}
	}
	if err := do(); err != nil {
		return "", err
	}
	for range signals {
		service := conn.Object("org.freedesktop.secrets", "/org/freedesktop/secrets")
		v, err := service.GetProperty("org.freedesktop.Secret.Service.Collections")
		if err != nil {
			continue
		}
		all, ok := v.Value().([]dbus.ObjectPath)
		if !ok || len(all) == 0 {
			continue
		}
		locked, err := conn.Object("org.freedesktop.secrets", all[0]).GetProperty("org.freedesktop.Secret.Collection.Locked")
		if err == nil && locked.Value() == want {
			return all[0], nil
		}
	}
	return "", errors.New("the bus is gone")
}
