package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"debug/elf"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
)

// tarFile is a file of an archive.
type tarFile struct {
	*tar.Header
	data []byte
}

func untar(t *testing.T, r io.Reader) map[string]tarFile {
	t.Helper()
	files := map[string]tarFile{}
	for in := tar.NewReader(r); ; {
		h, err := in.Next()
		if errors.Is(err, io.EOF) {
			return files
		}
		if err != nil {
			t.Fatal(err)
		}
		data, err := io.ReadAll(in)
		if err != nil {
			t.Fatal(err)
		}
		files[h.Name] = tarFile{h, data}
	}
}

// blob is a blob of an image, whose digest is right, as JSON into v.
func blob(t *testing.T, files map[string]tarFile, digest string, v any) []byte {
	t.Helper()
	sum := strings.TrimPrefix(digest, "sha256:")
	data := files["blobs/sha256/"+sum].data
	if got := fmt.Sprintf("%x", sha256.Sum256(data)); got != sum {
		t.Fatalf("the blob %s has the digest %s", sum, got)
	}
	if v != nil {
		if err := json.Unmarshal(data, v); err != nil {
			t.Fatal(err)
		}
	}
	return data
}

type ociDescriptor struct{ MediaType, Digest string }

type ociConfig struct {
	Architecture, OS, Created string
	Config                    struct {
		User, WorkingDir, StopSignal string
		Entrypoint, Cmd, Env         []string
		ExposedPorts, Volumes        map[string]struct{}
	}
	RootFS struct {
		DiffIDs []string `json:"diff_ids"`
	}
}

// TestContainerImage: an image has one layer with the program, which runs without anything else and not as
// root; the same program gives the same bytes.
func TestContainerImage(t *testing.T) {
	inSource(t)
	if _, err := os.Stat(authorities); err != nil {
		t.Skip("NOT TESTED: install ca-certificates: ", err)
	}
	t.Setenv("SOURCE_DATE_EPOCH", "1767323045")
	r, err := newRelease("v1.2.3", t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(r.scratch)
	program, err := r.build("linux", runtime.GOARCH, "static", "GUI=no")
	if err != nil {
		t.Fatal(err)
	}
	var archives [][]byte
	for range 2 {
		if err := r.image(program, runtime.GOARCH); err != nil {
			t.Fatal(err)
		}
		data, err := os.ReadFile(filepath.Join(r.dir, "waxseal-v1.2.3-linux-"+runtime.GOARCH+"-oci.tar"))
		if err != nil {
			t.Fatal(err)
		}
		archives = append(archives, data)
	}
	if !bytes.Equal(archives[0], archives[1]) {
		t.Error("two archives of one program differ")
	}
	files := untar(t, bytes.NewReader(archives[0]))
	var index struct{ Manifests []ociDescriptor }
	if err := json.Unmarshal(files["index.json"].data, &index); err != nil || len(index.Manifests) != 1 {
		t.Fatalf("index.json: %v, %+v", err, index)
	}
	var manifest struct {
		Config ociDescriptor
		Layers []ociDescriptor
	}
	blob(t, files, index.Manifests[0].Digest, &manifest)
	var config ociConfig
	blob(t, files, manifest.Config.Digest, &config)
	if len(manifest.Layers) != 1 {
		t.Fatalf("%d layers", len(manifest.Layers))
	}
	z, err := gzip.NewReader(bytes.NewReader(blob(t, files, manifest.Layers[0].Digest, nil)))
	if err != nil {
		t.Fatal(err)
	}
	layer, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	if diff := fmt.Sprintf("sha256:%x", sha256.Sum256(layer)); len(config.RootFS.DiffIDs) != 1 || config.RootFS.DiffIDs[0] != diff {
		t.Errorf("diff_ids %v, want %s", config.RootFS.DiffIDs, diff)
	}
	wantConfig(t, config)
	wantLayer(t, untar(t, bytes.NewReader(layer)))
}

func wantConfig(t *testing.T, c ociConfig) {
	t.Helper()
	if c.OS != "linux" || c.Architecture != runtime.GOARCH || c.Created != "2026-01-02T03:04:05Z" || c.Config.User != "65532:65532" ||
		!slices.Equal(c.Config.Entrypoint, []string{"/usr/bin/waxseal"}) || !slices.Equal(c.Config.Cmd, []string{"serve"}) {
		t.Errorf("%+v", c)
	}
	// The recipe for people with an engine makes the same image.
	recipe, err := os.ReadFile("Containerfile")
	if err != nil {
		t.Fatal(err)
	}
	words := slices.Concat(c.Config.Env, []string{"USER " + c.Config.User, "WORKDIR " + c.Config.WorkingDir, "VOLUME " + c.Config.WorkingDir,
		"STOPSIGNAL " + c.Config.StopSignal, `ENTRYPOINT ["/usr/bin/waxseal"]`, `CMD ["serve"]`})
	for port := range c.Config.ExposedPorts {
		words = append(words, strings.TrimSuffix(port, "/tcp"))
	}
	words = append(words, "dist notices headless /out/usr/share/doc/waxseal/third-party-notices.txt")
	for _, word := range words {
		if !strings.Contains(string(recipe), word) {
			t.Errorf("Containerfile does not have %q", word)
		}
	}
}

func wantLayer(t *testing.T, files map[string]tarFile) {
	t.Helper()
	var names []string
	for name, f := range files {
		if f.Typeflag == tar.TypeReg {
			names = append(names, name)
		}
		if owner := f.Uid; (owner == 65532) != (name == "var/lib/waxseal/") || f.Gid != owner || f.Mode&0o022 != 0 && name != "tmp/" {
			t.Errorf("%s belongs to %d:%d, mode %o", name, f.Uid, f.Gid, f.Mode)
		}
	}
	slices.Sort(names)
	if want := []string{"etc/group", "etc/passwd", "etc/ssl/certs/ca-certificates.crt", "usr/bin/waxseal", "usr/share/doc/waxseal/LICENSE", "usr/share/doc/waxseal/third-party-notices.txt"}; !slices.Equal(names, want) {
		t.Errorf("the layer has %v", names)
	}
	wantNotices(t, "the image", files["usr/share/doc/waxseal/third-party-notices.txt"].data)
	unpacked := filepath.Join(t.TempDir(), "waxseal")
	if err := os.WriteFile(unpacked, files["usr/bin/waxseal"].data, 0o700); err != nil {
		t.Fatal(err)
	}
	f, err := elf.Open(unpacked)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if libraries, err := f.ImportedLibraries(); err != nil || len(libraries) != 0 {
		t.Errorf("the program is not static: %v, %v", libraries, err)
	}
	if out, err := output(unpacked, "version"); !strings.HasPrefix(out, "waxseal v1.2.3 ") {
		t.Errorf("the unpacked program says %q, %v", out, err)
	}
}
