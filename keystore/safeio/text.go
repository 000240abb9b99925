package safeio

import (
	"bytes"
	"encoding/asn1"
	"encoding/binary"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"
)

// NotTextError says that data is not text that [Text] can decode, and what it
// looks like instead.
type NotTextError struct {
	Looks string // "a ZIP archive", "text in an older encoding, such as Windows-1252"
}

// Error implements error.
func (e *NotTextError) Error() string {
	return fmt.Sprintf("this is %s; save it as plain text in UTF-8", e.Looks)
}

// Text decodes what editors and shells write as text: UTF-8, and UTF-16 as Windows'
// PowerShell and Notepad write it, each with or without a byte order mark. The byte
// order mark is removed and line ends stay as they are. Its error is a
// *[NotTextError], which holds nothing of the content.
func Text(data []byte) (string, error) {
	if looks := looksLike(data); looks != "" {
		return "", &NotTextError{looks}
	}
	switch {
	case bytes.HasPrefix(data, []byte("\xff\xfe")):
		return fromUTF16(data[2:], binary.LittleEndian)
	case bytes.HasPrefix(data, []byte("\xfe\xff")):
		return fromUTF16(data[2:], binary.BigEndian)
	}
	data = bytes.TrimPrefix(data, []byte("\xef\xbb\xbf"))
	switch {
	case bytes.IndexByte(data, 0) >= 0:
		if text, ok := unmarkedUTF16(data); ok {
			return text, nil
		}
		if rest := bytes.ReplaceAll(data, []byte{0}, nil); utf8.Valid(rest) && printable(string(rest)) {
			return "", &NotTextError{"text with NUL bytes in it"}
		}
		return "", &NotTextError{"binary data"}
	case !utf8.Valid(data):
		return "", &NotTextError{"binary data, or text in an older encoding such as Windows-1252"}
	}
	return string(data), nil
}

// UnixLines is a text with LF as its line end if that was CR alone, as in files from
// old Macs and some devices. Other texts stay as they are.
func UnixLines(text string) string {
	if strings.Contains(text, "\n") {
		return text
	}
	return strings.ReplaceAll(text, "\r", "\n")
}

func fromUTF16(data []byte, order binary.ByteOrder) (string, error) {
	units := make([]uint16, len(data)/2)
	for i := range units {
		units[i] = order.Uint16(data[2*i:])
	}
	text := string(utf16.Decode(units))
	// Decode puts U+FFFD where half of a surrogate pair is missing.
	if len(data)%2 != 0 || strings.ContainsAny(text, "\x00\ufffd") {
		return "", &NotTextError{"damaged UTF-16"}
	}
	return text, nil
}

// unmarkedUTF16 decodes UTF-16 without a byte order mark. In a text that is mostly
// Latin, most high bytes are zero, and no low bytes are.
func unmarkedUTF16(data []byte) (text string, ok bool) {
	var zeros [2]int
	for i, b := range data {
		if b == 0 {
			zeros[i%2]++
		}
	}
	order, high := binary.ByteOrder(binary.LittleEndian), zeros[1]
	if zeros[0] > 0 {
		order, high = binary.BigEndian, zeros[0]
	}
	if zeros[0] > 0 && zeros[1] > 0 || high < len(data)/4 {
		return "", false
	}
	text, err := fromUTF16(data, order)
	return text, err == nil && printable(text)
}

// printable reports whether a text has no control characters but white space.
func printable(text string) bool {
	return text != "" && !strings.ContainsFunc(text, func(r rune) bool { return unicode.IsControl(r) && !unicode.IsSpace(r) })
}

// signatures are the first bytes of files that people mistake for text, or save
// in place of it; see the list of file signatures in file(1)'s magic. The first
// that fits counts.
var signatures = []struct{ start, looks string }{
	{"\xff\xfe\x00\x00", "text in UTF-32"},
	{"\x00\x00\xfe\xff", "text in UTF-32"},
	{"%PDF-", "a PDF document"},
	{`{\rtf`, "a Rich Text document (RTF)"},
	{"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an old Microsoft Office document, such as .xls or .doc"},
	{"PK\x03\x04", "a ZIP archive"},
	{"PK\x05\x06", "a ZIP archive"},
	{"\x1f\x8b", "a gzip archive"},
	{"BZh91AY", "a bzip2 archive"},
	{"\xfd7zXZ\x00", "an xz archive"},
	{"\x28\xb5\x2f\xfd", "a Zstandard archive"},
	{"7z\xbc\xaf\x27\x1c", "a 7-Zip archive"},
	{"Rar!\x1a\x07", "a RAR archive"},
	{"\x89PNG\r\n", "a picture (PNG)"},
	{"\xff\xd8\xff", "a picture (JPEG)"},
	{"GIF89a", "a picture (GIF)"},
	{"GIF87a", "a picture (GIF)"},
	{"SQLite format 3\x00", "an SQLite database"},
	{"bplist0", "a binary property list (.plist)"},
	{"L\x00\x00\x00\x01\x14\x02\x00", "a Windows shortcut (.lnk)"},
	{"\xfe\xed\xfe\xed", "a Java keystore"},
	{"\x03\xd9\xa2\x9a", "a KeePass database"},
	{"\x30\x80\x02\x01\x03", "a certificate or a key in binary form (.p12, .pfx or .der)"},
	{"\x7fELF", "a program"},
	{"MZ\x90\x00", "a program"},
}

// office tells the ZIP archives that office programs write by the names in them.
var office = []struct{ name, looks string }{
	{"xl/workbook.", "an Excel workbook"},
	{"word/document.", "a Word document"},
	{"ppt/presentation.", "a PowerPoint presentation"},
	{"application/vnd.oasis.opendocument.spreadsheet", "a LibreOffice spreadsheet"},
	{"application/vnd.oasis.opendocument", "a LibreOffice document"},
}

// looksLike names the kind of file that data is, "" when it may be text.
func looksLike(data []byte) string {
	for _, s := range signatures {
		if !bytes.HasPrefix(data, []byte(s.start)) {
			continue
		}
		if s.looks == "a ZIP archive" {
			for _, o := range office {
				if bytes.Contains(data, []byte(o.name)) {
					return o.looks
				}
			}
		}
		return s.looks
	}
	if isDER(data) {
		return "a certificate or a key in binary form (.p12, .pfx or .der)"
	}
	return ""
}

// isDER reports whether data is one ASN.1 sequence in DER (X.690), as certificates and
// keys are.
func isDER(data []byte) bool {
	var whole asn1.RawValue
	rest, err := asn1.Unmarshal(data, &whole)
	return err == nil && len(rest) == 0 && len(data) > 64 && whole.Tag == asn1.TagSequence && whole.IsCompound
}
