package ui

import (
	"runtime"
	"time"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/theme"

	"github.com/waxseal/waxseal/proxy/api"
)

// certificate shows the certificate for local TLS, and how to trust it.
type certificate struct {
	w           *window
	root        *fyne.Container
	fingerprint *text
	until       *text
	notice      *notice
	value       *fyne.Container
	help        *segments
	steps       *fyne.Container
	info        api.Certificate
}

var systems = []string{"windows", "darwin", "linux", "thunderbird"}

func newCertificate(w *window) *certificate {
	c := &certificate{w: w, notice: newNotice(w), until: newMuted(""), steps: newColumn(8)}
	c.fingerprint = newText("", kind{mono: true, size: theme.SizeNameCaptionText})
	c.help = newSegments(w.kit, []string{"Windows", "macOS", "Linux", "Thunderbird"}, func(int) { c.draw() })
	for i, s := range systems {
		if s == runtime.GOOS {
			c.help.preset(i)
		}
	}
	c.value = newColumn(12,
		newColumn(4, newText(tr("SHA-256 fingerprint"), kind{bold: true}), c.fingerprint, c.until),
		newFlow(8, w.kit.button(tr("Export…"), theme.DocumentSaveIcon(), func() { c.export() }),
			w.copyButton(tr("Copy fingerprint"), "", func() string { return c.info.Fingerprint })),
		newText(tr("How to trust it"), kind{bold: true}), c.help.root, c.steps)
	c.root = newColumn(12, newMuted(tr("Mail programs that connect to Waxseal with TLS see this certificate. It was created on and for this computer.")),
		c.notice.Container, c.value)
	return c
}

func (c *certificate) set(info api.Certificate, err error) {
	c.info = info
	c.notice.tell(c.w.explain(err))
	show(c.value, err == nil)
	c.fingerprint.set(halves(clean(info.Fingerprint)))
	until, _ := time.Parse(time.RFC3339, info.NotAfter)
	c.until.set(tr("Valid until {{.Date}}", values{"Date": date(until) + " " + until.Format("2006")}))
	c.draw()
}

func (c *certificate) draw() {
	c.steps.Objects = nil
	for i, s := range trustSteps(systems[c.help.chosen], c.info.File) {
		c.steps.Add(numbered(i+1, s))
	}
	c.w.settle()
}

// halves splits a fingerprint into two lines.
func halves(s string) string {
	if n := 16 * 3; len(s) > n {
		return s[:n-1] + "\n" + s[n:]
	}
	return s
}

// trustSteps are the steps that make a system trust the certificate.
func trustSteps(system, file string) []string {
	if file == "" {
		file = "waxseal.crt"
	}
	v := values{"File": file}
	switch system {
	case "windows":
		return []string{
			tr("Export the certificate and double-click the file."),
			tr("Choose “Install Certificate”, “Current User”, “Place all certificates in the following store”, “Trusted Root Certification Authorities”."),
			tr("Restart the mail program."),
		}
	case "darwin":
		return []string{
			tr("Export the certificate and open the file. Keychain Access adds it to “login”."),
			tr("Open it there and, under “Trust”, choose “Always Trust” for SSL."),
			tr("Restart the mail program."),
		}
	case "thunderbird":
		return []string{
			tr("Send a first message. Thunderbird shows the certificate and asks whether to trust it."),
			tr("Compare the fingerprint with the one above, then choose “Confirm Security Exception”."),
		}
	}
	return []string{
		tr("Most programs accept the file’s path: {{.File}}.", v),
		tr("To trust it system-wide on Debian and Ubuntu, copy it to /usr/local/share/ca-certificates and run sudo update-ca-certificates."),
		tr("On Fedora, run sudo trust anchor with the file’s path."),
	}
}

// export saves the certificate, never its key, to a file of the person's choice.
func (c *certificate) export() {
	c.w.saveFile("waxseal.crt", []byte(c.info.PEM), func(err error) { c.notice.tell(c.w.explain(err)) })
}
