package oauth

import (
	"regexp"
	"strings"

	"github.com/waxseal/waxseal/proxy/foreign"
)

// maxWords is how much of a provider's words goes into an error, in bytes. The longest that says
// what to do is Microsoft's AADSTS50194, of some 350.
const maxWords = 600

// maxRaw is how much of them is looked at.
const maxRaw = 16 << 10

var (
	// tracing are the identifiers that Microsoft adds for its support, wherever they stand.
	tracing = regexp.MustCompile(`(?i)\s*\b(?:trace|correlation|request) ?id\s*:\s*[0-9a-z-]+|\s*\btimestamp\s*:\s*\d{4}-\d\d-\d\d[ T][\d:.]+Z?`)
	// tail is the same at the end in another language.
	tail = regexp.MustCompile(`(?i)(?:\s+[\pL-]+(?: [\pL-]+)?\s*:\s*(?:[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}|\d{4}-\d\d-\d\d[ T][\d:.]+Z?))+\s*$`)
	// help is a sentence that only leads to a web page for developers.
	help = regexp.MustCompile(`(?i)(^|[.;!?])\s*(?:(?:for|to get) (?:more|further|additional) (?:information|info|details|help)|(?:to )?learn more|more (?:information|info|details)|(?:please )?(?:see|visit|refer to|go to))\b(?:[^.;!?]*?https?://[^\s"'<>]*[^\s"'<>.,;:!?)])+[^.;!?]*[.;!?]?`)
)

// words makes a provider's words fit for an error: one line, not long, without secrets, and without
// what only its support can use.
func words(text string, cleaner *foreign.Cleaner) string {
	text = cleaner.Clean(strings.ToValidUTF8(text[:min(len(text), maxRaw)], "?"))
	text = tracing.ReplaceAllString(text, "")
	text = tail.ReplaceAllString(text, "")
	text = help.ReplaceAllString(text, "$1")
	text = strings.Join(strings.Fields(text), " ")
	if len(text) <= maxWords {
		return text
	}
	text = strings.ToValidUTF8(text[:maxWords], "")
	if i := strings.LastIndexByte(text, ' '); i > maxWords/2 {
		text = text[:i]
	}
	return text + "..."
}

// clean is words for those that come outside of a request.
func clean(text string, secrets ...string) string { return words(text, foreign.New(secrets...)) }

// shown makes a name fit to be shown. Names may look like tokens.
func shown(name string) string { return foreign.New().Hide(name) }

// foreignError is an error whose text may hold words of the provider's.
type foreignError struct {
	text string
	err  error
}

func (e *foreignError) Error() string { return e.text }
func (e *foreignError) Unwrap() error { return e.err }
