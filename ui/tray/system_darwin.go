package tray

const extension = ".png"

// firstThread says that only the first thread of a program gets events.
const firstThread = true

// title is empty because macOS would show it next to the icon.
const title = ""

func literal(label string) string { return label }

// early says that the icon is set before the tray exists.
const early = false

// clickOpens is false because every click in the menu bar opens the menu.
const clickOpens = false
