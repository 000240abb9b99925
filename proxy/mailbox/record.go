package mailbox

import (
	"log/slog"
	"maps"
	"regexp"
	"strings"

	"github.com/waxseal/waxseal/proxy/api"
	"github.com/waxseal/waxseal/proxy/config"
)

// Record is the one place where a message goes into the statistics and the history, and its end
// into the log. told is what the client was told, "" where it did not stay to hear it; err is why,
// where that was Waxseal's own answer.
func (h *Hall) Record(box *Mailbox, log *slog.Logger, a api.Activity, told string, err error) {
	line := []any{"account", a.Account, "result", a.Result, "recipients", a.Recipients, "bytes", a.Bytes, "seconds", a.Took.Seconds()}
	if told != "" {
		line = append(line, "reply", told)
	}
	if a.Kind == api.Test {
		line = append(line, "test", true)
	}
	if err != nil {
		log.Warn("message failed", append(line, "err", err)...)
	} else {
		log.Info("message", line...)
	}
	h.Stats.Ended(a.Result, a.Time)
	box.Ended(a.Result)
	h.Remember(a, told, box.Address)
}

// Remember lists an event, without other people's addresses.
func (h *Hall) Remember(a api.Activity, told, own string) {
	a.Reply, a.Problem = discreet(told, own), discreetProblem(a.Problem, own)
	h.History.Add(a)
	h.Changed.Wake()
}

var addressLike = regexp.MustCompile("(\"[^\"]*\"|[^\\s<>()\\[\\],;:\"`]*)@[^\\s<>()\\[\\],;:\"`]+")

// longestReply is the maximum length of a reply in the list of messages, in bytes.
const longestReply = 500

// discreet returns a reply without other people's addresses, which providers often
// repeat, and short enough to keep a thousand of them.
func discreet(reply, own string) string {
	if strings.Contains(reply, "@") {
		reply = addressLike.ReplaceAllStringFunc(reply, func(address string) string {
			if config.Fold(strings.TrimRight(address, ".'")) == config.Fold(own) {
				return address
			}
			return "…"
		})
	}
	if len(reply) > longestReply {
		reply = strings.ToValidUTF8(reply[:longestReply], "") + "…"
	}
	return reply
}

// discreetProblem is discreet for all that a problem says. p itself is not changed.
func discreetProblem(p *api.Problem, own string) *api.Problem {
	if p == nil {
		return nil
	}
	q := *p
	q.Said = discreet(p.Said, own)
	for _, t := range []*api.Text{&q.What, &q.Cure} {
		t.Values = maps.Clone(t.Values)
		for name, value := range t.Values {
			t.Values[name] = discreet(value, own)
		}
	}
	return &q
}

// ResultOf is the result of a message that got a reply with this code.
func ResultOf(code int) api.Result {
	switch code / 100 {
	case 2:
		return api.Sent
	case 4:
		return api.Deferred
	}
	return api.Refused
}
