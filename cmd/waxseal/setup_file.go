package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"unicode/utf8"

	"github.com/waxseal/waxseal/keystore/safeio"
	"github.com/waxseal/waxseal/ui/programs"
)

// maxSettings is the largest settings file of another program that is changed, in bytes.
const maxSettings = 4 << 20

// edit is a change of another program's file.
type edit struct {
	path, text string
	now        string // what it is to be
	there      bool   // the file exists
	mode       fs.FileMode
}

// backup is where the file is kept as it was before the first change.
func (e edit) backup() string { return e.path + ".before-waxseal" }

// openEdit reads a file, which need not exist. One that is not text is left alone.
func openEdit(path string) (e edit, err error) {
	e = edit{path: path, mode: 0o600}
	data, err := os.ReadFile(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return e, nil
	case err != nil:
		return e, withCure(err, "let this user read the file")
	case len(data) > maxSettings || !utf8.Valid(data) || strings.ContainsRune(string(data), 0):
		return e, withCure(fmt.Errorf("%s is not a text file in UTF-8", path), "leave out --write, and add what is printed by hand")
	}
	if e.mode, err = safeio.Writable(path); err != nil {
		return e, withCure(err, "let this user write the file")
	}
	e.text, e.there = string(data), true
	return e, nil
}

// replace puts a new text in place in one step, with the old file's mode and owner, and keeps a file
// beside it that Waxseal has not changed yet.
func (e edit) replace(text string) error {
	if err := os.MkdirAll(filepath.Dir(e.path), 0o700); err != nil {
		return err
	}
	if e.there && !programs.HasBlock(e.text) {
		if err := safeio.Replace(e.backup(), []byte(e.text), e.mode); err != nil {
			return fmt.Errorf("keep %s as it is in %s: %w", e.path, e.backup(), err)
		}
	}
	return safeio.Replace(e.path, []byte(text), e.mode)
}

// restore puts back the text before Waxseal's lines. A file that had no other is removed, and so is the
// copy once the file is what it was.
func (e edit) restore(text string) error {
	kept, err := os.ReadFile(e.backup())
	had := err == nil
	if text == "" && !had {
		return os.Remove(e.path)
	}
	if err := safeio.Replace(e.path, []byte(text), e.mode); err != nil {
		return err
	}
	if had && string(kept) == text {
		return os.Remove(e.backup())
	}
	return nil
}
