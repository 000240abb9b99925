// Package assets holds the files that ship with the program: its icons, the
// systemd units, desktop entry and AppStream data that packages install, and the Grafana
// dashboard and Prometheus alert rules for monitoring Waxseal on a server.
//
// Packages copy the files from this folder. The program contains only those that
// it refers to, because the linker leaves out the rest. The icons are drawn in
// icon/waxseal.svg and icon/tray; `make icons` turns them into PNG and ICO files.
//
// This package imports nothing but embed, so every other package may import it.
package assets

import "embed"

// Icon is the program's icon, a PNG of 256 x 256 pixels.
//
//go:embed icon/waxseal-256.png
var Icon []byte

// IconSVG is the same icon as an SVG drawing.
//
//go:embed icon/waxseal.svg
var IconSVG []byte

// TrayIcons holds the icons in icon/tray: each state as .png and .ico, and as
// STATE-template.png in one colour for macOS.
//
//go:embed icon/tray/*.png icon/tray/*.ico
var TrayIcons embed.FS

// Dashboard is a Grafana dashboard of the metrics that a running instance
// serves. Import it and choose the Prometheus data source that scrapes them.
//
//go:embed grafana.json
var Dashboard []byte

// Alerts are alert rules for Prometheus (rule_files). `promtool test rules` tests
// them with testdata/alerts_test.yml.
//
//go:embed alerts.yml
var Alerts []byte

// SystemdUnit is a user unit that runs `waxseal serve`.
//
//go:embed waxseal.service
var SystemdUnit []byte

// DesktopEntry adds the program to the menu of a Linux desktop.
//
//go:embed waxseal.desktop
var DesktopEntry []byte
