package main

import (
	"cmp"
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"

	"github.com/waxseal/waxseal/proxy/api"
	"github.com/waxseal/waxseal/proxy/config"
	"github.com/waxseal/waxseal/proxy/updates"
)

// What the build knows, set by -ldflags "-X main.version=v1.2.3 ...".
var (
	version   string
	commit    string // the full hash; if it is "", what Go has noted counts
	buildDate string // RFC 3339, of the commit, so that the same commit gives the same program
	updateKey string // minisign's public key of whoever makes the releases; "" never asks for newer ones
)

// versionInfo is what `waxseal version --json` prints.
type versionInfo struct {
	Version string       `json:"version"`
	Commit  string       `json:"commit,omitempty"`
	Date    string       `json:"date,omitempty"` // of the commit
	Go      string       `json:"go"`
	OS      string       `json:"os"`
	Arch    string       `json:"arch"`
	Window  bool         `json:"window"`           // whether this build has one
	Update  *api.Release `json:"update,omitempty"` // a newer release, as far as the last instance learned
}

func (m *Main) versionCommand() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "version",
		Short: "Print the version",
		Args:  exactly(),
		RunE: func(*cobra.Command, []string) error {
			info := m.versionInfo()
			if asJSON {
				return m.printJSON(info)
			}
			if _, err := fmt.Fprint(m.Out, info.line()); err != nil {
				return err
			}
			if info.Update != nil {
				m.say("%s", updateText(info.Update))
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

// line is the answer of `waxseal version` and `waxseal --version`.
func (v versionInfo) line() string {
	return fmt.Sprintf("waxseal %s %s %s/%s\n", v.Version, v.Go, v.OS, v.Arch)
}

// updateText says that there is a newer release.
func updateText(r *api.Release) string {
	return fmt.Sprintf("version %s is available: %s", r.Version, r.Page)
}

func (m *Main) versionInfo() versionInfo {
	v := buildInfo()
	if path, cfg, err := m.load(); err == nil && asksForUpdates(cfg) {
		v.Update = updates.Known(updates.File(path), v.Version)
	}
	return v
}

// asksForUpdates reports whether this build and the configuration let Waxseal ask for newer releases.
func asksForUpdates(cfg config.Config) bool { return updateKey != "" && cfg.Updates != "" }

// buildInfo is what this program knows of itself.
func buildInfo() versionInfo {
	v := versionInfo{Version: versionText(), Commit: commit, Date: buildDate, Go: runtime.Version(), OS: runtime.GOOS, Arch: runtime.GOARCH, Window: hasWindow}
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, s := range info.Settings {
			switch s.Key {
			case "vcs.revision":
				v.Commit = cmp.Or(v.Commit, s.Value)
			case "vcs.time":
				v.Date = cmp.Or(v.Date, s.Value)
			}
		}
	}
	return v
}

// versionText is the version, as far as the build knows it.
func versionText() string {
	if version != "" {
		return version
	}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	text := info.Main.Version
	if text == "" || text == "(devel)" {
		text = "dev"
	}
	return text
}
