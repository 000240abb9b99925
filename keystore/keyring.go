package keystore

import (
	"fmt"
	"strings"

	"github.com/godbus/dbus/v5"
	ss "github.com/zalando/go-keyring/secret_service"
)

// The Secret Service keeps items in keyrings, which its API calls collections.
// go-keyring uses the login keyring, else the one with the alias "default". A
// new user may have neither, for instance with automatic login: then go-keyring
// reports a keyring that cannot be unlocked, and never makes one.

const (
	secretsName   = "org.freedesktop.secrets"
	secretsPath   = dbus.ObjectPath("/org/freedesktop/secrets")
	sessionPath   = secretsPath + "/collection/session"
	defaultPath   = secretsPath + "/aliases/default"
	secretsMember = "org.freedesktop.Secret."
	noObject      = dbus.ObjectPath("/")
)

// ready prepares what q needs. It fails with ErrNoKeyring where there is no
// keyring, unless q writes and it can have one made, for which the user is
// asked; and with ErrLocked where q is quiet and the keyring is locked.
func ready(q request) (asked bool, err error) {
	service, err := ss.NewSecretService()
	if err != nil {
		return false, err
	}
	keyring := service.GetLoginCollection()
	if keyring.Path() == defaultPath {
		there, err := hasDefault(service)
		switch {
		case err != nil:
			return false, err
		case !there && q.Op == "set" && !q.Quiet && onlySession(service):
			return true, makeDefault(service)
		case !there:
			return false, ErrNoKeyring
		}
	}
	if !q.Quiet {
		return false, nil
	}
	locked, err := keyring.GetProperty(secretsMember + "Collection.Locked")
	if err == nil && locked.Value() == true {
		err = fmt.Errorf("%w: nobody unlocked it when last asked; Waxseal asks again in a few minutes", ErrLocked)
	}
	return false, err
}

// hasDefault reports whether some keyring has the alias "default".
func hasDefault(service *ss.SecretService) (bool, error) {
	path := noObject
	err := service.Object(secretsName, secretsPath).Call(secretsMember+"Service.ReadAlias", 0, "default").Store(&path)
	if err != nil && strings.HasPrefix(busErrorName(err), unknownPrefix) {
		return false, fmt.Errorf("%w (%w)", ErrMissing, err) // something has the name, and is no Secret Service
	}
	return path != noObject, err
}

// onlySession reports whether the one keyring is the one that GNOME Keyring
// keeps in memory until the user logs out. Other services are not asked to make
// a keyring: KeePassXC would offer a new database to a user who has only not
// opened the old one yet.
func onlySession(service *ss.SecretService) bool {
	v, err := service.Object(secretsName, secretsPath).GetProperty(secretsMember + "Service.Collections")
	all, ok := v.Value().([]dbus.ObjectPath)
	return err == nil && ok && len(all) == 1 && all[0] == sessionPath
}

// makeDefault has the service make the default keyring, for which it asks the
// user for a new password, and waits for the answer.
func makeDefault(service *ss.SecretService) error {
	label := map[string]dbus.Variant{secretsMember + "Collection.Label": dbus.MakeVariant("Default keyring")}
	made, prompt := noObject, noObject
	err := service.Object(secretsName, secretsPath).Call(secretsMember+"Service.CreateCollection", 0, label, "default").Store(&made, &prompt)
	if err != nil || prompt == noObject {
		return err
	}
	signals := make(chan *dbus.Signal, 16)
	service.Signal(signals)
	defer service.RemoveSignal(signals)
	match := []dbus.MatchOption{dbus.WithMatchObjectPath(prompt), dbus.WithMatchInterface(secretsMember + "Prompt")}
	if err := service.AddMatchSignal(match...); err != nil {
		return err
	}
	defer func() { _ = service.RemoveMatchSignal(match...) }()
	if err := service.Object(secretsName, prompt).Call(secretsMember+"Prompt.Prompt", 0, "").Err; err != nil {
		return err
	}
	for s := range signals {
		if s.Path != prompt || s.Name != secretsMember+"Prompt.Completed" || len(s.Body) == 0 {
			continue
		}
		if s.Body[0] != false {
			return fmt.Errorf("%w: nobody chose a password for it when last asked", ErrNoKeyring)
		}
		return nil
	}
	return fmt.Errorf("%w: it ended while its prompt was open", ErrMissing)
}
