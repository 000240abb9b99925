//go:build linux && clients

package main_test

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"io"
	"math/rand/v2"
	"mime"
	"mime/multipart"
	"net/mail"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/waxseal/waxseal/proxy/providertest"
)

// attachmentSize is how much Gmail lets people attach, in bytes. In base64 that is 34 MB.
const attachmentSize = 25_000_000

// TestLargeAttachment sends 25 MB with each program, which attaches the file itself if it can. The
// attachment that arrives is compared with the file.
func TestLargeAttachment(t *testing.T) {
	r := startProgram(t)
	file, want := bigFile(t)
	whole := withAttachment(t, file)
	for _, c := range mailClients {
		t.Run(c.String(), func(t *testing.T) {
			c.mustBeThere(t)
			e := r.endpoint(clear, "PLAIN")
			switch {
			case !c.ownHeader || c.program == "git":
				c.file = whole
			default:
				e.attachment = file
			}
			before := len(r.provider.Messages())
			r.sent(t, c, e)
			wantAttachment(t, r.provider.Messages()[before:], want)
		})
	}
}

// bigFile is a file that does not compress, and its SHA-256.
func bigFile(t *testing.T) (file, hash string) {
	t.Helper()
	data := make([]byte, attachmentSize)
	rand.NewChaCha8([32]byte{}).Read(data)
	file = filepath.Join(t.TempDir(), "attachment.bin")
	if err := os.WriteFile(file, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return file, hashOf(data)
}

// withAttachment is a message with the file attached, with LF line ends.
func withAttachment(t *testing.T, file string) string {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	head, _, _ := strings.Cut(header, "Content-Type")
	var b strings.Builder
	b.WriteString(head + "Content-Type: multipart/mixed; boundary=parts\n\n--parts\nContent-Type: application/octet-stream\n" +
		"Content-Disposition: attachment; filename=attachment.bin\nContent-Transfer-Encoding: base64\n\n")
	for encoded := base64.StdEncoding.EncodeToString(data); encoded != ""; {
		n := min(76, len(encoded))
		b.WriteString(encoded[:n] + "\n")
		encoded = encoded[n:]
	}
	b.WriteString("--parts--\n")
	return b.String()
}

// wantAttachment: one message arrived, and its attachment has the SHA-256.
func wantAttachment(t *testing.T, messages []providertest.Message, want string) {
	t.Helper()
	if len(messages) != 1 {
		t.Fatalf("%d messages arrived", len(messages))
	}
	m, err := mail.ReadMessage(bufio.NewReader(bytes.NewReader(messages[0].Body)))
	if err != nil {
		t.Fatal(err)
	}
	_, params, err := mime.ParseMediaType(m.Header.Get("Content-Type"))
	if err != nil {
		t.Fatal(err)
	}
	for parts := multipart.NewReader(m.Body, params["boundary"]); ; {
		part, err := parts.NextPart()
		if err != nil {
			t.Fatalf("no attachment arrived: %v", err)
		}
		if part.FileName() == "" {
			continue
		}
		data, err := io.ReadAll(base64.NewDecoder(base64.StdEncoding, part))
		if got := hashOf(data); err != nil || got != want {
			t.Errorf("%d bytes arrived with SHA-256 %s (%v), want %d with %s", len(data), got, err, attachmentSize, want)
		}
		return
	}
}
