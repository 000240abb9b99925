package keystore

import (
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"github.com/waxseal/waxseal/keystore/safeio/safeiotest"
)

func TestKinds(t *testing.T) {
	p := Place{Service: testServiceName, Path: filepath.Join(safeiotest.Dir(t), "secrets"), Passphrase: "p",
		Etcd: func(string) (Backend, error) { return elsewhereTest{}, nil }}
	for _, k := range Kinds {
		s, err := Open(k.Name, p)
		if err != nil {
			t.Fatal(err)
		}
		if s.Kind() != k.Name || s.Warning() != "" || k.Label == "" {
			t.Errorf("%s: kind %q, warning %q", k.Name, s.Kind(), s.Warning())
		}
		s.Close()
		if found, ok := KindOf(k.Name); !ok || found.Label != k.Label {
			t.Errorf("KindOf(%q) = %v, %v", k.Name, found, ok)
		}
	}
	if _, err := Open("floppy", p); err == nil || !strings.Contains(err.Error(), Choice(false)) {
		t.Errorf("an unknown kind: %v", err)
	}
	if all, lasting := Choice(false), Choice(true); all != "system, file, etcd or memory" || lasting != "system, file or etcd" {
		t.Errorf("the choice is %q, among lasting kinds %q", all, lasting)
	}
}

// elsewhereTest is a kind of store that is made elsewhere.
type elsewhereTest struct{ Backend }

func (elsewhereTest) Close() {}

const testServiceName = "waxseal-test-kinds"

// Without a passphrase the encrypted file cannot be opened. The error says so, and
// has a cure.
func TestNoPassphrase(t *testing.T) {
	dir := safeiotest.Dir(t)
	for name, p := range map[string]Place{
		"none":      {},
		"no file":   {PassphraseFile: filepath.Join(dir, "missing")},
		"a folder":  {PassphraseFile: dir},
		"an empty":  {PassphraseFile: textFile(t, dir, "empty", "\r\n")},
		"a picture": {PassphraseFile: textFile(t, dir, "picture", "\x89PNG\r\n\x1a\n")},
		"too large": {PassphraseFile: textFile(t, dir, "large", strings.Repeat("x", maxPassphrase+1))},
	} {
		p.Path = filepath.Join(dir, "secrets")
		_, err := Open(FileKind, p)
		if ReasonOf(err) != ReasonNoPassphrase || !strings.Contains(Cure(err), "WAXSEAL_KEYSTORE_PASSPHRASE_FILE") {
			t.Errorf("%s: %v, cure %q", name, err, Cure(err))
		}
		u := Unavailable(FileKind, err, Cure(err))
		if _, got := u.Get(t.Context(), "k"); ReasonOf(got) != ReasonNoPassphrase || Cure(got) != Cure(err) || !errors.Is(got, err) {
			t.Errorf("%s: later %v, cure %q", name, got, Cure(got))
		}
	}
}
