// Command image puts a static Linux program into a container image, as an OCI archive that podman, skopeo,
// containerd and Docker load. It needs no container engine and no network, and the same program and date
// give the same bytes.
//
// The image has one layer: the program, the certificates of public CAs, and a folder for the configuration
// and the encrypted keystore. Sources: github.com/opencontainers/image-spec, image-layout.md, config.md and
// manifest.md. Docker before 25 reads manifest.json instead.
package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/json"
	"flag"
	"fmt"
	"log"
	"os"
	"strconv"
	"strings"
	"time"
)

const (
	user = 65532 // "nonroot", as in other images without a system
	home = "/var/lib/waxseal"
)

func main() {
	log.SetFlags(0)
	log.SetPrefix("image: ")
	program := flag.String("program", "", "the program, `FILE`")
	version := flag.String("version", "dev", "its `VERSION`")
	commit := flag.String("commit", "", "its `COMMIT`")
	arch := flag.String("arch", "amd64", "its `ARCHITECTURE`, as Go names it")
	cas := flag.String("cas", "/etc/ssl/certs/ca-certificates.crt", "the CAs, `FILE` in PEM")
	out := flag.String("o", "", "the archive, `FILE`")
	flag.Parse()
	seconds, err := strconv.ParseInt(os.Getenv("SOURCE_DATE_EPOCH"), 10, 64)
	if err != nil {
		log.Fatal("SOURCE_DATE_EPOCH must be the time of the commit in seconds")
	}
	image := image{version: strings.TrimPrefix(*version, "v"), commit: *commit, arch: *arch, date: time.Unix(seconds, 0).UTC()}
	layer, err := image.layer(*program, *cas)
	if err != nil {
		log.Fatal(err)
	}
	if err := os.WriteFile(*out, image.archive(layer), 0o644); err != nil { // #nosec G306 -- it is to be shared
		log.Fatal(err)
	}
}

// image is what a container image says of itself.
type image struct {
	version, commit, arch string
	date                  time.Time
}

// layer is the file system, as a tar.
func (i image) layer(program, cas string) ([]byte, error) {
	binary, err := os.ReadFile(program)
	if err != nil {
		return nil, err
	}
	certificates, err := os.ReadFile(cas)
	if err != nil {
		return nil, err
	}
	licence, err := os.ReadFile("LICENSE")
	if err != nil {
		return nil, err
	}
	t := i.tar()
	t.folder("etc/", 0o755, 0)
	t.file("etc/passwd", fmt.Appendf(nil, "waxseal:x:%d:%[1]d::%s:/usr/bin/waxseal\n", user, home), 0o644)
	t.file("etc/group", fmt.Appendf(nil, "waxseal:x:%d:\n", user), 0o644)
	t.folder("etc/ssl/", 0o755, 0)
	t.folder("etc/ssl/certs/", 0o755, 0)
	t.file("etc/ssl/certs/ca-certificates.crt", certificates, 0o644)
	t.folder("tmp/", 0o1777, 0)
	t.folder("usr/", 0o755, 0)
	t.folder("usr/bin/", 0o755, 0)
	t.file("usr/bin/waxseal", binary, 0o755)
	t.folder("usr/share/", 0o755, 0)
	t.folder("usr/share/doc/", 0o755, 0)
	t.folder("usr/share/doc/waxseal/", 0o755, 0)
	t.file("usr/share/doc/waxseal/LICENSE", licence, 0o644)
	t.folder("var/", 0o755, 0)
	t.folder("var/lib/", 0o755, 0)
	t.folder("var/lib/waxseal/", 0o700, user)
	return t.bytes(), nil
}

// archive is the whole image.
func (i image) archive(layer []byte) []byte {
	compressed := compress(layer)
	config := encode(i.config(layer))
	manifest := encode(map[string]any{
		"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
		"config": descriptor("config.v1+json", config),
		"layers": []any{descriptor("layer.v1.tar+gzip", compressed)},
	})
	described := descriptor("manifest.v1+json", manifest)
	described["platform"] = map[string]string{"os": "linux", "architecture": i.arch}
	described["annotations"] = map[string]string{"org.opencontainers.image.ref.name": i.version, "io.containerd.image.name": "localhost/waxseal:" + i.version}

	t := i.tar()
	t.folder("blobs/", 0o755, 0)
	t.folder("blobs/sha256/", 0o755, 0)
	for _, blob := range [][]byte{compressed, config, manifest} {
		t.file(blobPath(blob), blob, 0o644)
	}
	t.file("index.json", encode(map[string]any{"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": []any{described}}), 0o644)
	t.file("manifest.json", encode([]any{map[string]any{"Config": blobPath(config), "RepoTags": []string{"waxseal:" + i.version}, "Layers": []string{blobPath(compressed)}}}), 0o644)
	t.file("oci-layout", encode(map[string]string{"imageLayoutVersion": "1.0.0"}), 0o644)
	return t.bytes()
}

// config says how the program is run.
func (i image) config(layer []byte) any {
	ports := map[string]struct{}{}
	for _, port := range []int{1587, 1465, 1143, 1993, 1110, 1995, 9587} {
		ports[fmt.Sprintf("%d/tcp", port)] = struct{}{}
	}
	return map[string]any{
		"created": i.date.Format(time.RFC3339), "os": "linux", "architecture": i.arch,
		"config": map[string]any{
			"User": fmt.Sprintf("%d:%[1]d", user), "WorkingDir": home,
			"Entrypoint": []string{"/usr/bin/waxseal"}, "Cmd": []string{"serve"}, "StopSignal": "SIGTERM",
			"ExposedPorts": ports, "Volumes": map[string]struct{}{home: {}},
			"Env": []string{
				"PATH=/usr/bin", "HOME=" + home, "WAXSEAL_CONFIG=" + home + "/config.toml",
				"WAXSEAL_KEYSTORE=file", "WAXSEAL_KEYSTORE_PASSPHRASE_FILE=/run/secrets/waxseal-passphrase",
			},
			"Labels": map[string]string{
				"org.opencontainers.image.title": "Waxseal", "org.opencontainers.image.version": i.version, "org.opencontainers.image.revision": i.commit,
				"org.opencontainers.image.created": i.date.Format(time.RFC3339), "org.opencontainers.image.licenses": "MIT",
				"org.opencontainers.image.source": "https://github.com/waxseal/waxseal",
			},
		},
		"rootfs":  map[string]any{"type": "layers", "diff_ids": []string{digest(layer)}},
		"history": []any{map[string]string{"created": i.date.Format(time.RFC3339), "created_by": "make image"}},
	}
}

func descriptor(kind string, blob []byte) map[string]any {
	return map[string]any{"mediaType": "application/vnd.oci.image." + kind, "digest": digest(blob), "size": len(blob)}
}

func digest(blob []byte) string { return fmt.Sprintf("sha256:%x", sha256.Sum256(blob)) }

func blobPath(blob []byte) string { return fmt.Sprintf("blobs/sha256/%x", sha256.Sum256(blob)) }

// encode is JSON; the keys of maps are sorted.
func encode(v any) []byte {
	data, err := json.Marshal(v)
	check(err)
	return data
}

func compress(data []byte) []byte {
	var b bytes.Buffer
	z, err := gzip.NewWriterLevel(&b, gzip.BestCompression) // it writes neither a name nor a time
	check(err)
	_, err = z.Write(data)
	check(err)
	check(z.Close())
	return b.Bytes()
}

// archiver writes a tar whose files all have the image's date.
type archiver struct {
	date   time.Time
	buffer *bytes.Buffer
	w      *tar.Writer
}

func (i image) tar() archiver {
	b := &bytes.Buffer{}
	return archiver{i.date, b, tar.NewWriter(b)}
}

func (a archiver) folder(name string, mode int64, owner int) {
	check(a.w.WriteHeader(&tar.Header{Typeflag: tar.TypeDir, Name: name, Mode: mode, Uid: owner, Gid: owner, ModTime: a.date}))
}

func (a archiver) file(name string, data []byte, mode int64) {
	check(a.w.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: name, Size: int64(len(data)), Mode: mode, ModTime: a.date}))
	_, err := a.w.Write(data)
	check(err)
}

func (a archiver) bytes() []byte {
	check(a.w.Close())
	return a.buffer.Bytes()
}

// check is for what cannot fail in memory.
func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
