package main

import (
	"context"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

// TestManualNamesEveryCommand: the page has every command and each of its options, so nothing that
// is added later can be missing there.
func TestManualNamesEveryCommand(t *testing.T) {
	m, _, _ := newMain(map[string]string{})
	root, _ := m.root()
	page := manual(root, "1790000000")
	if !strings.HasPrefix(page, `.TH WAXSEAL 1 "2026-09-21"`) {
		t.Errorf("it starts with %.60q", page)
	}
	var look func(*cobra.Command)
	look = func(c *cobra.Command) {
		for _, sub := range c.Commands() {
			if sub.Hidden || sub.Name() == "help" || sub.Name() == "completion" {
				continue
			}
			if !strings.Contains(page, ".SS "+roff(sub.CommandPath())) {
				t.Errorf("%s is missing", sub.CommandPath())
			}
			for _, field := range strings.Fields(sub.LocalNonPersistentFlags().FlagUsages()) {
				if name, ok := strings.CutPrefix(field, "--"); ok && !strings.Contains(page, `\-\-`+roff(name)) {
					t.Errorf("%s: --%s is missing", sub.CommandPath(), name)
				}
			}
			look(sub)
		}
	}
	look(root)
}

// TestManualRenders: man shows the page without a warning.
func TestManualRenders(t *testing.T) {
	groff, err := exec.LookPath("groff")
	if err != nil {
		t.Skip("groff is not installed")
	}
	m, _, _ := newMain(map[string]string{})
	root, _ := m.root()
	cmd := exec.Command(groff, "-man", "-ww", "-Tutf8")
	cmd.Stdin = strings.NewReader(manual(root, ""))
	var warnings strings.Builder
	cmd.Stderr = &warnings
	out, err := cmd.Output()
	if err != nil || warnings.Len() > 0 || !strings.Contains(string(out), "Wrong usage.") {
		t.Errorf("%v, %d bytes, warnings:\n%s", err, len(out), warnings.String())
	}
}

func TestCompletion(t *testing.T) {
	config := t.TempDir() + "/config.toml"
	accounts := `
[[account]]
address = "me@gmail.com"
provider = "gmail"

[[account]]
address = "you@outlook.com"
provider = "outlook"
`
	if err := os.WriteFile(config, []byte(accounts), 0o600); err != nil {
		t.Fatal(err)
	}
	for args, want := range map[string]string{
		"account remove |":                    "me@gmail.com you@outlook.com",
		"account remove m|":                   "me@gmail.com",
		"account remove me@gmail.com |":       "",
		"account add |":                       "",
		"account add x@y.test --provider goo": "google",
		"account protocols me@gmail.com s":    "smtp",
		"account protocols a@b.c smtp,|":      "smtp,imap smtp,pop",
		"keystore move |":                     "system file etcd",
		"serve --keystore f":                  "file",
		"status --log-level w":                "warn",
		"send-test |":                         "me@gmail.com you@outlook.com",
		"explain --provider outl":             "outlook",
		"version |":                           "",
	} {
		m, out, _ := newMain(map[string]string{configEnv: config})
		fields := strings.Fields(args)
		last := strings.TrimSuffix(fields[len(fields)-1], "|")
		m.Run(context.Background(), append(append([]string{"__completeNoDesc"}, fields[:len(fields)-1]...), last))
		var got []string
		for line := range strings.Lines(out.String()) {
			if line = strings.TrimSpace(line); !strings.HasPrefix(line, ":") && strings.HasPrefix(line, last) { // shells filter too
				got = append(got, line)
			}
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%s: %q, want %q", args, got, want)
		}
	}
}
