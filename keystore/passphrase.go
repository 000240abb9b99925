package keystore

import (
	"fmt"
	"io"
	"io/fs"
	"runtime"
	"strings"

	"github.com/waxseal/waxseal/keystore/safeio"
)

// maxPassphrase bounds the file, in bytes: a wrong path may lead to a large file,
// or to a device without end.
const maxPassphrase = 64 << 10

// readPassphrase reads the passphrase of the encrypted file from a file, as an
// editor or a shell of any system writes it. The line end at its end is not part
// of the passphrase. The warning, if any, says that others can read it too.
func readPassphrase(path string) (passphrase, warning string, err error) {
	f, err := safeio.Open(path)
	if err != nil {
		return "", "", fmt.Errorf("%w: %w", errPassphraseFile, err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxPassphrase+1))
	if err == nil && len(data) > maxPassphrase {
		err = fmt.Errorf("it is larger than %d KiB", maxPassphrase>>10)
	}
	if err == nil {
		passphrase, err = safeio.Text(data)
	}
	if err != nil {
		return "", "", fmt.Errorf("%w from %s: %w", errPassphraseFile, path, err)
	}
	if info, err := f.Stat(); err == nil {
		warning = exposed(path, info.Mode())
	}
	return strings.TrimRight(passphrase, "\r\n"), warning, nil
}

// exposed says so when the passphrase file's mode lets other users read or change
// it, as ssh does with keys. It stays a warning: container platforms hand secrets
// to a program in files that everybody in the container can read. Windows has no
// such modes.
func exposed(path string, mode fs.FileMode) string {
	if runtime.GOOS == "windows" || !mode.IsRegular() || mode.Perm()&0o077 == 0 {
		return ""
	}
	return fmt.Sprintf("the keystore's passphrase file %s has mode %04o, so other users of this computer may be able to read or change it; run `chmod 600` on it", path, mode.Perm())
}
