package ui

import "github.com/waxseal/waxseal/proxy/api"

// errand is what the window can do about a problem. The zero value is nothing.
type errand struct {
	label  string // for a button
	page   Page   // where it is done
	renew  bool   // create a new password there
	run    bool   // check everything there
	reload bool   // have the engine read its configuration first
	unlock bool   // have the keychain ask, whatever page is shown
}

// errandOf is the errand for an action of the engine's.
func errandOf(a api.Action, account string) errand {
	e := errand{label: say(a.Label())}
	switch a {
	case api.SignIn:
		e.page = Page{Name: "add", Account: account}
	case api.Register:
		e.page = Page{Name: "register", Account: account}
	case api.NewPassword:
		e.page, e.renew = Page{Name: "setup", Account: account}, true
	case api.ShowSetup:
		e.page = Page{Name: "setup", Account: account}
	case api.Unlock, api.MakeKeyring:
		e.unlock = true
	case api.RunChecks:
		e.page, e.run = Page{Name: "check"}, true
	case api.ReadAgain:
		e.page, e.reload = Page{Name: "check"}, true
	case api.AddAccount:
		e.page = Page{Name: "add"}
	case api.ListAccount:
		e.page = Page{Name: "overview"}
	case api.OpenSetting:
		e.page = Page{Name: "settings"}
	case api.ShowActivity:
		e.page = Page{Name: "activity"}
	default:
		return errand{}
	}
	return e
}

// do shows the page of an errand, and starts it.
func (w *window) do(e errand) {
	if e.unlock {
		w.unlock()
		return
	}
	w.show(e.page)
	switch {
	case e.renew:
		w.pages["setup"].(*setup).load(true)
	case e.run:
		w.pages["check"].(*checkPage).begin()
	case e.reload:
		w.inBackground(func(ctx ctx) error {
			_, err := w.backend.Reload(ctx)
			return err
		}, func(err error) {
			w.frame.banners.fail(err)
			if err == nil && w.name == "check" {
				w.pages["check"].(*checkPage).begin()
			}
		})
	}
}

// unlock has the keychain put up its own prompt, even if that was dismissed a moment ago.
func (w *window) unlock() {
	w.inBackground(w.backend.UnlockKeystore, w.frame.banners.unlocked)
}
