// Package assets holds the files that go with the program: its icon, the
// systemd user unit and desktop entry that packages install, and the Grafana
// dashboard and Prometheus alert rules for those who watch a Waxseal that runs
// on a server.
//
// The files are kept here once. Packages copy them from this folder; the
// program embeds only those that it refers to, because the linker leaves the
// others out. The icons are drawn in icon/waxseal.svg and icon/tray; the PNG and
// ICO files are made from them by `make icons`.
//
// This package imports nothing but embed, so that every other one may use it.
package assets

import "embed"

// Icon is the program's icon as a PNG of 256 x 256 pixels.
//
//go:embed icon/waxseal-256.png
var Icon []byte

// IconSVG is the same icon as a drawing.
//
//go:embed icon/waxseal.svg
var IconSVG []byte

// TrayIcons holds icon/tray: a drawing of each state as .png and .ico, and as
// STATE-template.png in one colour for macOS.
//
//go:embed icon/tray/*.png icon/tray/*.ico
var TrayIcons embed.FS

// Dashboard is a Grafana dashboard of the metrics that a running instance
// serves: import it, and choose the Prometheus data source that reads them.
//
//go:embed grafana.json
var Dashboard []byte

// Alerts are rules for Prometheus (rule_files). They are tested with
// `promtool test rules` on testdata/alerts_test.yml.
//
//go:embed alerts.yml
var Alerts []byte

// SystemdUnit is a user unit that runs `waxseal serve`.
//
//go:embed waxseal.service
var SystemdUnit []byte

// DesktopEntry puts the program into the menu of a Linux desktop.
//
//go:embed waxseal.desktop
var DesktopEntry []byte
