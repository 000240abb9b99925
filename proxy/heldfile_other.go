//go:build !windows

package proxy

import "os"

// Only Windows keeps one program from a file that another has open.

func renameFile(from, to string) error { return os.Rename(from, to) }

func openFile(name string) (*os.File, error) { return os.Open(name) }
