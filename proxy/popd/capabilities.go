package popd

import (
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/waxseal/waxseal/proxy/prelogin"
)

// capabilities are the answer to CAPA before the login (RFC 2449). After it, the provider answers
// itself.
func (d *dialogue) capabilities() []string {
	p := d.provider()
	var list []string
	for _, c := range []string{"TOP", "UIDL"} {
		if !p.lacks[c] {
			list = append(list, c)
		}
	}
	list = append(list, "RESP-CODES", "AUTH-RESP-CODE")
	if !d.withoutTLS() {
		list = append(list, "USER", "SASL "+prelogin.Mechanisms)
	}
	if !d.conn.Secure() && (d.needsTLS || d.offersTLS) && !d.utf8 {
		list = append(list, "STLS")
	}
	return append(list, p.common...)
}

// learned is what the providers of all accounts have in common.
type learned struct {
	common []string        // capabilities that every provider offers
	lacks  map[string]bool // those that are in every server, but not in one of these
}

func (l learned) has(capability string) bool { return slices.Contains(l.common, capability) }

// passed are capabilities that are a provider's alone, and true of Waxseal if they are true of
// every provider. UTF8 is RFC 6856's, the others are RFC 2449's.
var passed = []string{"PIPELINING", "UTF8", "EXPIRE", "LOGIN-DELAY"}

// memory is what the accounts' providers have answered to CAPA. After a login that failed a provider is asked
// again: its answer may have been that of another day. The zero value is empty.
type memory struct {
	mu       sync.Mutex // guards what follows
	accounts []string   // all that use POP, by address
	said     map[string][]string
	again    map[string]bool // those whose providers are asked again
}

// keep names the accounts that use POP; what is known of others is forgotten.
func (m *memory) keep(accounts []string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.accounts = slices.Clone(accounts)
	maps.DeleteFunc(m.said, func(account string, _ []string) bool { return !slices.Contains(accounts, account) })
}

// of is what an account's provider has answered, nil if it has to be asked.
func (m *memory) of(account string) []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.again[account] {
		return nil
	}
	return m.said[account]
}

func (m *memory) learn(account string, capabilities []string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.said == nil {
		m.said, m.again = map[string][]string{}, map[string]bool{}
	}
	m.said[account], m.again[account] = capabilities, false
}

func (m *memory) doubt(account string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.said[account] != nil {
		m.again[account] = true
	}
}

// common is what the accounts' providers have in common. One that was not asked may lack anything.
func (m *memory) common() learned {
	m.mu.Lock()
	defer m.mu.Unlock()
	l := learned{lacks: map[string]bool{}}
	count := map[string]int{}
	for _, account := range m.accounts {
		said := m.said[account]
		if said == nil {
			continue
		}
		l.lacks["TOP"] = l.lacks["TOP"] || !slices.Contains(said, "TOP")
		l.lacks["UIDL"] = l.lacks["UIDL"] || !slices.Contains(said, "UIDL")
		for _, c := range said {
			count[c]++
		}
	}
	for _, c := range slices.Sorted(maps.Keys(count)) {
		if word, _, _ := strings.Cut(c, " "); count[c] == len(m.accounts) && slices.Contains(passed, word) {
			l.common = append(l.common, c)
		}
	}
	return l
}

// tidied are the lines of an answer to CAPA in one form: keywords in upper case, each line once.
// UTF8 loses its argument, which is about USER and so about Waxseal.
func tidied(lines []string) []string {
	list := []string{}
	for _, line := range lines {
		fields := strings.Fields(line)
		if len(fields) == 0 {
			continue
		}
		if fields[0] = strings.ToUpper(fields[0]); fields[0] == "UTF8" {
			fields = fields[:1]
		}
		list = append(list, strings.Join(fields, " "))
	}
	slices.Sort(list)
	return slices.Compact(list)
}

// mechanisms are the SASL mechanisms among capabilities.
func mechanisms(capabilities []string) []string {
	for _, c := range capabilities {
		if list, ok := strings.CutPrefix(c, "SASL "); ok {
			return strings.Fields(strings.ToUpper(list))
		}
	}
	return nil
}
