//go:build !windows

package keystore

// Clear does nothing: other keychains cannot list items without a prompt. Only the
// uninstaller for Windows needs it.
func Clear(string) error { return nil }
