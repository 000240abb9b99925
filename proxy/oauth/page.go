package oauth

import (
	"crypto/sha256"
	"encoding/base64"
	"html/template"
	"net/http"
)

// page is what the browser shows at the end of a consent. One that is not the last loads itself again
// after a second.
type page struct {
	Title, Text string
	Tone        tone
	Last        bool
}

// tone is the page's class: colour and mark.
type tone string

const (
	good  tone = "good"
	bad   tone = "bad"
	plain tone = "plain" // nothing happened, and nothing is wrong
)

var (
	strange  = page{Title: "Nothing here", Text: "This address only takes the answer to a sign-in that Waxseal started.", Tone: plain, Last: true}
	notYours = page{Title: "Another user’s sign-in", Text: "Another user of this computer started this sign-in, so this browser can’t finish it. If that was you, copy the address of this page into the terminal where Waxseal is waiting, or sign in with that user’s browser.", Tone: bad, Last: true}
	used     = page{Title: "Already answered", Text: "Another answer to this sign-in has come already. If that was not you, somebody else on this computer may have interfered: start the sign-in again in Waxseal.", Tone: bad, Last: true}
	ended    = page{Title: "This sign-in has ended", Text: "Waxseal no longer waits for it: it was cancelled, or it took longer than ten minutes. Start it again in Waxseal.", Tone: bad, Last: true}
)

func checking(account string) page {
	return page{Title: "Approved", Text: "Now checking that mail can be sent for " + account + "…", Tone: plain}
}

// granted is the end of a sign-in that succeeded. trouble is why mail cannot be sent all the same.
func granted(account string, trouble error) page {
	if trouble != nil {
		return page{Title: "Signed in, but not ready", Text: trouble.Error(), Tone: bad, Last: true}
	}
	return page{Title: "Signed in", Text: "Waxseal can now send mail for " + account + ". You can close this window.", Tone: good, Last: true}
}

func failed(account string, err error) page {
	text := err.Error()
	switch e := err.(type) {
	case *IdentityError:
		return page{Title: "Somebody else signed in", Tone: bad, Last: true,
			Text: "You signed in as " + e.Got + ", but Waxseal waits for " + e.Want + ". Nothing was stored. Go back to Waxseal to try again."}
	case *ConsentError:
		if e.Reason == DeniedByUser {
			return page{Title: "Declined", Tone: plain, Last: true,
				Text: account + ": " + e.Why() + ". Nothing was changed. You can close this window."}
		}
		text = e.Why()
	case *AdminError:
		text = e.Why()
	}
	return page{Title: "Not signed in", Text: account + ": " + text + ". Go back to Waxseal to try again.", Tone: bad, Last: true}
}

const pageStyle = `
:root { color-scheme: light dark; --ink: #1c1e21; --paper: #f4f1ec; --card: #fff; --mark: #5c6066; --sign: "\2013" }
.good { --mark: #2e6b4f; --sign: "\2713" }
.bad { --mark: #9b2335; --sign: "!" }
@media (prefers-color-scheme: dark) { :root { --ink: #e8e6e3; --paper: #17181a; --card: #222426; --mark: #a3a8ae } .good { --mark: #74c29b } .bad { --mark: #e98a97 } }
body { margin: 0; min-height: 100vh; display: grid; place-items: center; background: var(--paper); color: var(--ink); font: 17px/1.5 system-ui, sans-serif }
main { box-sizing: border-box; width: min(30rem, 100vw - 2rem); padding: 2rem 2.25rem; background: var(--card); border-radius: 12px; overflow-wrap: anywhere }
h1::before { content: var(--sign) / ""; display: grid; place-items: center; width: 2.75rem; height: 2.75rem; margin-bottom: 1rem; border-radius: 50%; background: var(--mark); color: var(--card); font-size: 1.6rem; line-height: 1 }
h1 { margin: 0 0 .5rem; font-size: 1.4rem; color: var(--mark) }
p { margin: 0 }
`

var pageTemplate = template.Must(template.New("page").Parse(`<!doctype html>
<html lang="en" class="{{.Tone}}">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width">{{if not .Last}}<meta http-equiv="refresh" content="1">{{end}}<title>{{.Title}} - Waxseal</title><style>` + pageStyle + `</style></head>
<body><main><h1>{{.Title}}</h1><p>{{.Text}}</p></main></body>
</html>
`))

// pagePolicy allows the page's own style and nothing else.
var pagePolicy = func() string {
	sum := sha256.Sum256([]byte(pageStyle))
	return "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) +
		"'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
}()

func (p page) write(w http.ResponseWriter, status int) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	lockDown(w.Header())
	w.WriteHeader(status)
	_ = pageTemplate.Execute(w, p) // the browser has gone; nobody is left to tell
}

// lockDown keeps an answer out of caches, and what stands in its address from other sites.
func lockDown(h http.Header) {
	h.Set("Content-Security-Policy", pagePolicy)
	h.Set("Cache-Control", "no-store")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("X-Content-Type-Options", "nosniff")
}
