package keystore

import (
	"fmt"
	"strings"
)

// The names of the kinds, as the configuration and the command line have them.
const (
	SystemKind = "system"
	FileKind   = "file"
	EtcdKind   = "etcd"
	MemoryKind = "memory"
)

// Kind is one of the places that secrets can be kept in.
type Kind struct {
	Name  string
	Label string // what people call it, within an English sentence
	Lasts bool   // whether secrets are still there at the program's next start

	open func(Place) (*Store, error)
	cure func(failure) string // the cure of a failure in a store of this kind
}

// Kinds are all kinds, in the order in which people are offered them.
var Kinds = []Kind{
	{
		Name: SystemKind, Label: "the system's keychain", Lasts: true,
		open: func(p Place) (*Store, error) { return System(p.Service), nil },
		cure: func(f failure) string { return f.inKeychain },
	},
	{
		Name: FileKind, Label: "the encrypted file", Lasts: true,
		open: Place.openFile,
		cure: func(f failure) string { return f.inFile },
	},
	{
		Name: EtcdKind, Label: "etcd", Lasts: true,
		open: Place.openEtcd,
		cure: func(f failure) string { return f.inEtcd },
	},
	{
		Name: MemoryKind, Label: "memory",
		open: func(Place) (*Store, error) { return Memory(), nil },
		cure: func(f failure) string { return f.inKeychain }, // it fails in tests only, where it plays a keychain
	},
}

// KindOf finds a kind by its name.
func KindOf(name string) (k Kind, ok bool) {
	for _, k := range Kinds {
		if k.Name == name {
			return k, true
		}
	}
	return Kind{}, false
}

// Names are the names of all kinds or, with lasting, of those that last.
func Names(lasting bool) (names []string) {
	for _, k := range Kinds {
		if k.Lasts || !lasting {
			names = append(names, k.Name)
		}
	}
	return names
}

// Choice lists [Names] for people to choose from: "system, file or memory".
func Choice(lasting bool) string {
	names := Names(lasting)
	last := len(names) - 1
	return strings.Join(names[:last], ", ") + " or " + names[last]
}

// Place says where each kind finds its secrets, and what opens it.
type Place struct {
	Service string // the name that Waxseal's items have in the system's keychain
	Path    string // the encrypted file

	// The passphrase of the encrypted file or of the shared records, and the file to read it from when it
	// is empty.
	Passphrase     string
	PassphraseFile string

	// Etcd makes the store that is shared with other machines, from the passphrase; nil
	// if this program was built without it.
	Etcd func(passphrase string) (Backend, error)
}

// Open answers the store of a kind. It opens nothing yet but reads the
// passphrase, if the kind needs one; [Cure] helps with its errors.
func Open(kind string, p Place) (*Store, error) {
	k, ok := KindOf(kind)
	if !ok {
		return nil, fmt.Errorf("there is no keystore %q; choose %s", kind, Choice(false))
	}
	s, err := k.open(p)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", k.Label, err)
	}
	return s, nil
}

func (p Place) openFile() (*Store, error) {
	passphrase, warning, err := p.passphrase()
	if err != nil {
		return nil, err
	}
	s, err := File(p.Path, []byte(passphrase))
	if err != nil {
		return nil, err
	}
	s.warning = warning
	return s, nil
}

func (p Place) openEtcd() (*Store, error) {
	if p.Etcd == nil {
		return nil, errNoEtcd
	}
	passphrase, warning, err := p.passphrase()
	if err != nil {
		return nil, err
	}
	b, err := p.Etcd(passphrase)
	if err != nil {
		return nil, err
	}
	return &Store{kind: EtcdKind, backend: elsewhere{b}, warning: warning}, nil
}

// passphrase reads the passphrase. The warning, if any, says that others can read it too.
func (p Place) passphrase() (passphrase, warning string, err error) {
	if p.Passphrase != "" {
		return p.Passphrase, "", nil
	}
	if p.PassphraseFile != "" {
		if passphrase, warning, err = readPassphrase(p.PassphraseFile); err != nil {
			return "", "", err
		}
	}
	if passphrase == "" {
		return "", "", errNoPassphrase
	}
	return passphrase, warning, nil
}
