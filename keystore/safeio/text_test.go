package safeio

import (
	"errors"
	"strings"
	"testing"
	"unicode/utf16"
)

// utf16Text is text as PowerShell writes it.
func utf16Text(text string, big bool) string {
	var b strings.Builder
	for _, u := range append([]uint16{0xfeff}, utf16.Encode([]rune(text))...) {
		low, high := byte(u), byte(u>>8)
		if big {
			low, high = high, low
		}
		b.WriteByte(low)
		b.WriteByte(high)
	}
	return b.String()
}

func TestText(t *testing.T) {
	for _, text := range []string{"", "plain\n", "Umläute, пароль, 密码, 🔑\r\n", "PK is a word", "GIF8 BZh MZ"} {
		for name, data := range map[string]string{
			"UTF-8":             text,
			"UTF-8 with a mark": "\ufeff" + text,
			"UTF-16LE":          utf16Text(text, false),
			"UTF-16BE":          utf16Text(text, true),
		} {
			if got, err := Text([]byte(data)); err != nil || got != text {
				t.Errorf("%s: got %q, %v; want %q", name, got, err, text)
			}
		}
	}
}

// Some programs leave out the mark of UTF-16. What is mostly Latin is clear without it.
func TestTextInUTF16WithoutMark(t *testing.T) {
	for _, text := range []string{"plain\r\n", "Umläute – „so“ €, 🔑\r\n", "{\"client_id\":\"1\"}"} {
		for _, big := range []bool{false, true} {
			if got, err := Text([]byte(utf16Text(text, big)[2:])); err != nil || got != text {
				t.Errorf("got %q, %v; want %q", got, err, text)
			}
		}
	}
	for text, want := range map[string]string{"": "", "a\rb\r": "a\nb\n", "a\r\nb\r": "a\r\nb\r", "a\nb": "a\nb"} {
		if got := UnixLines(text); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}

// What is no text is refused with a word for what it is, and without its content.
func TestNotText(t *testing.T) {
	for data, want := range map[string]string{
		"PK\x03\x04\x14\x00secret.txt":                                             "a ZIP archive",
		"PK\x05\x06" + strings.Repeat("\x00", 18):                                  "a ZIP archive",
		"PK\x03\x04 [Content_Types].xml secret xl/workbook.xml":                    "an Excel workbook",
		"PK\x03\x04 [Content_Types].xml secret word/document.xml":                  "a Word document",
		"PK\x03\x04 mimetypeapplication/vnd.oasis.opendocument.spreadsheet secret": "a LibreOffice spreadsheet",
		"PK\x03\x04 mimetypeapplication/vnd.oasis.opendocument.text secret":        "a LibreOffice document",
		"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1secret":                                   "an old Microsoft Office document",
		"%PDF-1.7 secret":                                                          "a PDF document",
		`{\rtf1\ansi secret}`:                                                      "a Rich Text document",
		"\x1f\x8b\x08secret":                                                       "a gzip archive",
		"\x89PNG\r\n\x1a\nsecret":                                                  "a picture (PNG)",
		"SQLite format 3\x00secret":                                                "an SQLite database",
		"\xff\xfe\x00\x00s\x00\x00\x00e\x00\x00\x00":                               "text in UTF-32",
		"\x00\x00\xfe\xff\x00\x00\x00s":                                            "text in UTF-32",
		"s\x00e\x00c\x00r\x00e\x00\x01\x00":                                        "binary data",
		"s\x00e\x00\x00c":                                                          "text with NUL bytes in it",
		"secret\x00":                                                               "text with NUL bytes in it",
		"\x30\x7b" + strings.Repeat("secret\x00", 17) + "secr":                     "a certificate or a key in binary form",
		"L\x00\x00\x00\x01\x14\x02\x00secret":                                      "a Windows shortcut",
		"\xff\xfes":                                                                "damaged UTF-16",
		"\xff\xfes\x00\x00\xd8e\x00":                                               "damaged UTF-16",
		"se\x00cret":                                                               "text with NUL bytes in it",
		"s\xe9cret":                                                                "an older encoding such as Windows-1252",
	} {
		got, err := Text([]byte(data))
		var refused *NotTextError
		if !errors.As(err, &refused) || got != "" || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "secret") {
			t.Errorf("%q: got %q, %v; want %q", data, got, err, want)
		}
	}
}

func FuzzText(f *testing.F) {
	f.Add([]byte("\ufefftext"))
	f.Add([]byte("\xff\xfet\x00"))
	f.Add([]byte("PK\x03\x04"))
	f.Fuzz(func(t *testing.T, data []byte) {
		text, err := Text(data)
		if err != nil && text != "" {
			t.Errorf("%q with the error %v", text, err)
		}
		if err == nil && text != strings.ToValidUTF8(text, "") {
			t.Errorf("%q is not UTF-8", text)
		}
	})
}
