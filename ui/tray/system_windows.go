package tray

import "strings"

const extension = ".ico"

const title = ""

// literal keeps an & from marking the letter behind it.
func literal(label string) string { return strings.ReplaceAll(label, "&", "&&") }

// early says that the icon is set before the tray is there.
const early = false

// clickOpens says that a click on the icon opens the window; the menu is on the
// other button.
const clickOpens = true
