//go:build !windows

package safeio

import "os"

// Only on Windows does one program that has a file open keep others from it.

func rename(from, to string) error { return os.Rename(from, to) }

func open(path string, flag int) (*os.File, error) { return os.OpenFile(path, flag, 0) }
