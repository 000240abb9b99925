package ui

import (
	"context"
	"slices"

	"github.com/waxseal/waxseal/proxy/api"
)

// startsAtLogin reports whether the desktop can start Waxseal at login.
func (w *window) startsAtLogin() bool {
	return w.options.Autostart != nil && w.options.SetAutostart != nil
}

// offerAutostart asks, at the end of the first set-up, whether Waxseal starts at login:
// otherwise no mail program can send after the next start of the computer.
func (w *window) offerAutostart(account string) {
	others := func(a api.AccountStatus) bool { return a.Address != account }
	if !w.startsAtLogin() || slices.ContainsFunc(w.view.snapshot.Accounts, others) {
		return
	}
	ask(w.work, w.work.ctx, func(context.Context) (bool, error) { return w.options.Autostart() }, func(on bool, err error) {
		if on || err != nil || w.current != w.pages["setup"] {
			return
		}
		start := w.kit.check(tr("Start Waxseal when I log in"), nil)
		start.Checked = true
		done := w.kit.primary(tr("Continue"), nil, func() {
			w.closeOverlays()
			if start.Checked {
				w.inBackground(func(ctx) error { return w.options.SetAutostart(true) }, w.frame.banners.fail)
			}
		})
		w.dialog(done, newHeading(tr("Start Waxseal when you log in?")),
			newBody(tr("Mail programs can only send while Waxseal is running. You can change this in “Settings” at any time.")),
			padded(-8, -4, start), newActions(done))
	})
}
