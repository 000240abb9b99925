package tray

const extension = ".png"

// title would stand beside the icon.
const title = ""

func literal(label string) string { return label }

// early says that the icon is set before the tray is there.
const early = false

// clickOpens is false: in the menu bar each click opens the menu.
const clickOpens = false
