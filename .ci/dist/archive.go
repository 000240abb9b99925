package main

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"io"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strings"
)

// plainArchive makes the archive of the program for a system that has no package: a zip for Windows,
// a tar.gz elsewhere.
func (r *release) plainArchive(name, program, system string) error {
	var t tree
	data, err := os.ReadFile(program)
	t.files = append(t.files, file{filepath.Base(program), data, true})
	t.err = err
	for _, f := range []string{"LICENSE", "CHANGELOG.md", "README.md"} {
		t.copy(f, f)
	}
	texts, err := notices(false)
	t.add("third-party-notices.txt", texts, err)
	files, err := t.sorted()
	if err != nil {
		return err
	}
	if system == "windows" {
		return r.write(name+".zip", func(w io.Writer) error { return r.zip(w, name, files) })
	}
	return r.write(name+".tar.gz", func(w io.Writer) error {
		z, err := gzip.NewWriterLevel(w, gzip.BestCompression)
		if err != nil {
			return err
		}
		if err := r.tar(z, name, files); err != nil {
			return err
		}
		return z.Close()
	})
}

// tarXZ makes the archive of the files of a Linux package. They unpack to a prefix:
// tar -xf FILE --strip-components=1 -C ~/.local.
func (r *release) tarXZ(name string, files []file) error {
	return r.write(name+".tar.xz", func(w io.Writer) error {
		var b bytes.Buffer
		if err := r.tar(&b, name, files); err != nil {
			return err
		}
		xz := exec.Command("xz", "-9", "--threads=1", "--stdout")
		xz.Stdin, xz.Stdout, xz.Stderr = &b, w, os.Stderr
		return xz.Run()
	})
}

func (r *release) tar(w io.Writer, folder string, files []file) error {
	t := tar.NewWriter(w)
	for _, f := range files {
		h := &tar.Header{Name: path.Join(folder, strings.TrimPrefix(f.path, "usr/")), Size: int64(len(f.data)), Mode: f.mode(), ModTime: r.date, Format: tar.FormatUSTAR}
		if err := t.WriteHeader(h); err != nil {
			return err
		}
		if _, err := t.Write(f.data); err != nil {
			return err
		}
	}
	return t.Close()
}

func (r *release) zip(w io.Writer, folder string, files []file) error {
	z := zip.NewWriter(w)
	for _, f := range files {
		h := &zip.FileHeader{Name: path.Join(folder, f.path), Method: zip.Deflate, Modified: r.date}
		h.SetMode(os.FileMode(f.mode()))
		part, err := z.CreateHeader(h)
		if err != nil {
			return err
		}
		if _, err := part.Write(f.data); err != nil {
			return err
		}
	}
	return z.Close()
}

func (f file) mode() int64 {
	if f.executable {
		return 0o755
	}
	return 0o644
}

// write makes a file of the release.
func (r *release) write(name string, fill func(io.Writer) error) error {
	f, err := os.Create(filepath.Join(r.dir, name))
	if err != nil {
		return err
	}
	if err := fill(f); err != nil {
		f.Close()
		return err
	}
	return f.Close()
}
