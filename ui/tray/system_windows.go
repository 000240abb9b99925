package tray

import "strings"

const extension = ".ico"

// firstThread says that only the first thread of a program gets events.
const firstThread = false

const title = ""

// literal keeps an & from marking the letter after it.
func literal(label string) string { return strings.ReplaceAll(label, "&", "&&") }

// early says that the icon is set before the tray exists.
const early = false

// clickOpens says that a click on the icon opens the window; the other mouse button
// opens the menu.
const clickOpens = true
