package ui

import (
	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/widget"

	"github.com/waxseal/waxseal/proxy/api"
)

// keystore shows where the secrets are kept, and moves them.
type keystore struct {
	w      *window
	root   *fyne.Container
	name   *text
	state  *text
	move   *button
	unlock *button
	result *text
	notice *notice

	to     string // the kind that they can be moved to, "" for none
	moving bool
}

func newKeystore(w *window) *keystore {
	k := &keystore{w: w, name: newText("", kind{bold: true}), state: newMuted(""), result: newText("", kind{}), notice: newNotice(w)}
	k.move = w.kit.button("", nil, k.ask)
	k.unlock = w.kit.primary("", nil, func() { w.unlock() })
	k.root = newColumn(12, newColumn(2, k.name, k.state), newFlow(8, k.unlock, k.move), k.result, k.notice.Container)
	k.clear()
	return k
}

// clear hides the result of the last move, unless a move is in progress.
func (k *keystore) clear() {
	if !k.moving {
		k.result.Hide()
		k.notice.say("", "")
	}
}

func (k *keystore) draw(v view) {
	s := v.snapshot.Keystore
	k.name.set(keystoreName(s.Kind))
	if p := s.Problem; p == nil {
		k.state.mark(good.importance())
		k.state.set(tr("Unlocked"))
	} else {
		k.state.mark(bad.importance())
		k.state.set(explainProblem(p).text())
	}
	p := s.Problem
	ask := p != nil && errandOf(p.Do, "").unlock
	if show(k.unlock, ask); ask {
		k.unlock.SetText(say(p.Do.Label()))
	}
	k.offer(s)
	k.move.enable(!k.moving && !v.gone && s.Problem == nil)
}

// offer shows where the secrets can be moved to. Those in memory can't be moved; they
// are lost when Waxseal ends.
func (k *keystore) offer(s api.KeystoreStatus) {
	label := ""
	switch k.to = ""; s.Kind {
	case "system":
		k.to, label = "file", tr("Move to an encrypted file…")
	case "file":
		k.to, label = "system", tr("Move to the system keychain…")
	}
	show(k.move, k.to != "")
	if k.move.Text != label {
		k.move.SetText(label)
	}
}

// ask explains a move before it starts.
func (k *keystore) ask() {
	to, title := k.to, tr("Move to the system keychain?")
	words := tr("Waxseal copies all sign-ins and passwords into the keychain, checks the copies, and then deletes them from the file. Mail keeps flowing meanwhile. After that, Waxseal needs an unlocked keychain instead of the passphrase.")
	if to == "file" {
		title = tr("Move to an encrypted file?")
		words = tr("Waxseal copies all sign-ins and passwords into the file, checks the copies, and then deletes them from the keychain. Mail keeps flowing meanwhile. The file is encrypted with a passphrase that Waxseal reads from WAXSEAL_KEYSTORE_PASSPHRASE or WAXSEAL_KEYSTORE_PASSPHRASE_FILE, now and at every start.")
	}
	k.w.question(title, words, tr("Move"), widget.HighImportance, func() { k.begin(to) })
}

func (k *keystore) begin(to string) {
	if k.moving {
		return
	}
	k.moving = true
	k.move.enable(false)
	k.notice.say("", "")
	k.say(tr("Moving…"), calm)
	var moved int
	k.w.inBackground(func(ctx ctx) (err error) {
		moved, err = k.w.backend.MoveSecrets(ctx, to)
		return err
	}, func(err error) {
		k.moving = false
		k.draw(k.w.view)
		if err != nil {
			k.result.Hide()
			k.notice.tell(k.w.explain(err))
			k.w.bringUp(k.notice.Container)
			return
		}
		k.say(trn("Moved {{.N}} secrets.", int64(moved)), good)
		k.w.bringUp(k.result)
	})
	k.w.settle()
}

func (k *keystore) say(words string, m mood) {
	k.result.mark(m.importance())
	k.result.set(words)
	k.result.Show()
}
