package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf16"

	"github.com/waxseal/waxseal/keystore/safeio/safeiotest"
)

func readText(t testing.TB, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// encodings are a text as various programs save it.
func encodings(text string) map[string]string {
	var little, big strings.Builder
	for _, u := range utf16.Encode([]rune("\ufeff" + text)) {
		little.Write([]byte{byte(u), byte(u >> 8)})
		big.Write([]byte{byte(u >> 8), byte(u)})
	}
	return map[string]string{"UTF-8": text, "UTF-8 with a mark": "\ufeff" + text, "UTF-16 LE": little.String(), "UTF-16 BE": big.String()}
}

// writeTestConfig writes a config.toml in a folder of its own and returns its path.
func writeTestConfig(t testing.TB, text string) string {
	t.Helper()
	path := filepath.Join(safeiotest.Dir(t), "config.toml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
