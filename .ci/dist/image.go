package main

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"time"
)

// The user that the program in a container runs as, and its folder.
const (
	containerUser = 65532 // "nonroot", as in other images without a system
	containerHome = "/var/lib/waxseal"
)

// authorities are the certificates of public CAs on this machine.
const authorities = "/etc/ssl/certs/ca-certificates.crt"

// images makes a container image of the program without a window for each architecture.
func (r *release) images() error {
	for _, target := range targets("linux/amd64", "linux/arm64") {
		system, arch, _ := strings.Cut(target, "/")
		program, err := r.build(system, arch, "static", "GUI=no")
		if err != nil {
			return err
		}
		if err := r.image(program, arch); err != nil {
			return err
		}
	}
	return nil
}

// image puts a static Linux program into a container image, as an OCI archive that podman, skopeo,
// containerd and Docker load. It needs no container engine and no network.
func (r *release) image(program, arch string) error {
	commit, err := output("git", "rev-parse", "HEAD")
	if err != nil {
		return err
	}
	i := image{version: strings.TrimPrefix(r.version, "v"), commit: commit, arch: arch, date: r.date}
	layer, err := i.layer(program)
	if err != nil {
		return err
	}
	archive, err := i.archive(layer)
	if err != nil {
		return err
	}
	return r.write(fmt.Sprintf("waxseal-%s-linux-%s-oci.tar", r.version, arch), func(w io.Writer) error {
		_, err := w.Write(archive)
		return err
	})
}

// image is what a container image says of itself. It has one layer: the program, its licences, the
// certificates of public CAs, and a folder for the configuration and the encrypted keystore. Sources:
// github.com/opencontainers/image-spec, image-layout.md, config.md and manifest.md. Docker before 25 reads
// manifest.json instead.
type image struct {
	version, commit, arch string
	date                  time.Time
}

// layer is the file system, as a tar.
func (i image) layer(program string) ([]byte, error) {
	binary, err := os.ReadFile(program)
	if err != nil {
		return nil, err
	}
	certificates, err := os.ReadFile(authorities)
	if err != nil {
		return nil, err
	}
	licence, err := os.ReadFile("LICENSE")
	if err != nil {
		return nil, err
	}
	texts, err := notices(false)
	if err != nil {
		return nil, err
	}
	t := i.tar()
	t.folder("etc/", 0o755, 0)
	t.file("etc/passwd", fmt.Appendf(nil, "waxseal:x:%d:%[1]d::%s:/usr/bin/waxseal\n", containerUser, containerHome), 0o644)
	t.file("etc/group", fmt.Appendf(nil, "waxseal:x:%d:\n", containerUser), 0o644)
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
	t.file("usr/share/doc/waxseal/third-party-notices.txt", texts, 0o644)
	t.folder("var/", 0o755, 0)
	t.folder("var/lib/", 0o755, 0)
	t.folder("var/lib/waxseal/", 0o700, containerUser)
	return t.bytes()
}

// archive is the whole image.
func (i image) archive(layer []byte) ([]byte, error) {
	compressed := gzipped(layer)
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
			"User": fmt.Sprintf("%d:%[1]d", containerUser), "WorkingDir": containerHome,
			"Entrypoint": []string{"/usr/bin/waxseal"}, "Cmd": []string{"serve"}, "StopSignal": "SIGTERM",
			"ExposedPorts": ports, "Volumes": map[string]struct{}{containerHome: {}},
			"Env": []string{
				"PATH=/usr/bin", "HOME=" + containerHome, "WAXSEAL_CONFIG=" + containerHome + "/config.toml",
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

// encode is JSON of maps, texts and numbers, which cannot fail; the keys are sorted.
func encode(v any) []byte {
	data, _ := json.Marshal(v)
	return data
}

// archiver writes a tar whose files all have the image's date, until something fails.
type archiver struct {
	date   time.Time
	buffer *bytes.Buffer
	w      *tar.Writer
	err    error
}

func (i image) tar() *archiver {
	b := &bytes.Buffer{}
	return &archiver{date: i.date, buffer: b, w: tar.NewWriter(b)}
}

func (a *archiver) folder(name string, mode int64, owner int) {
	a.add(&tar.Header{Typeflag: tar.TypeDir, Name: name, Mode: mode, Uid: owner, Gid: owner}, nil)
}

func (a *archiver) file(name string, data []byte, mode int64) {
	a.add(&tar.Header{Typeflag: tar.TypeReg, Name: name, Size: int64(len(data)), Mode: mode}, data)
}

func (a *archiver) add(h *tar.Header, data []byte) {
	h.ModTime = a.date
	if a.err == nil {
		a.err = a.w.WriteHeader(h)
	}
	if a.err == nil {
		_, a.err = a.w.Write(data)
	}
}

func (a *archiver) bytes() ([]byte, error) {
	if a.err == nil {
		a.err = a.w.Close()
	}
	return a.buffer.Bytes(), a.err
}
