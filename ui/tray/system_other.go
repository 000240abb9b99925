//go:build !windows && !darwin

package tray

import "strings"

const extension = ".png"

// firstThread says that only the first thread of a program gets events.
const firstThread = false

// title is the icon's name in panels.
const title = "Waxseal"

// literal keeps a _ from marking the letter after it (com.canonical.dbusmenu).
func literal(label string) string { return strings.ReplaceAll(label, "_", "__") }

// early says that the icon is set before the tray exists: systray publishes its
// properties while the menu is being built, and misses changes during that time.
const early = true

// clickOpens says that a click on the icon opens the window; the other mouse button
// opens the menu.
const clickOpens = true
