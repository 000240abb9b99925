//go:build !windows && !darwin

package tray

import "strings"

const extension = ".png"

// title is what panels list the icon under.
const title = "Waxseal"

// literal keeps a _ from marking the letter behind it (com.canonical.dbusmenu).
func literal(label string) string { return strings.ReplaceAll(label, "_", "__") }

// early says that the icon is set before the tray is there: systray publishes
// its properties while the menu is being built, and misses what is set just then.
const early = true

// clickOpens says that a click on the icon opens the window; the menu is on the
// other button.
const clickOpens = true
