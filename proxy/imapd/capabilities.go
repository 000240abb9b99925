package imapd

import (
	"slices"
	"strings"
	"sync"
)

// Capabilities remembers what the accounts' providers offer, in memory. What all of them offer can be
// offered to a mail program before it says which account it is for. The zero value is empty. All methods may be
// called by many goroutines.
type Capabilities struct {
	mu       sync.Mutex // guards the field below
	accounts map[string]*offer
}

// offer is what a provider offers; nil: not known.
type offer struct{ before, after []string }

// Accounts names the accounts that do IMAP; what is known of others is forgotten.
func (c *Capabilities) Accounts(addresses []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	kept := make(map[string]*offer)
	for _, a := range addresses {
		if kept[a] = c.accounts[a]; kept[a] == nil {
			kept[a] = &offer{}
		}
	}
	c.accounts = kept
}

// learn remembers what an account's provider offered before the login, and after it; nil changes nothing.
func (c *Capabilities) learn(address string, before, after []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.accounts == nil {
		c.accounts = make(map[string]*offer)
	}
	o := c.accounts[address]
	if o == nil {
		o = &offer{}
		c.accounts[address] = o
	}
	if before != nil {
		o.before = before
	}
	if after != nil {
		o.after = after
	}
}

// forget makes the next login ask the account's provider again.
func (c *Capabilities) forget(address string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if o := c.accounts[address]; o != nil {
		o.before = nil
	}
}

// known is what the account's provider offered before the login, nil if not known.
func (c *Capabilities) known(address string) []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	if o := c.accounts[address]; o != nil {
		return o.before
	}
	return nil
}

// common is what mail programs are offered before the login, besides IMAP4rev1 and how to log in.
func (c *Capabilities) common() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	idle, first, all := true, true, []string(nil)
	for _, o := range c.accounts {
		// Some programs look for IDLE only here, and some providers list it only after the login.
		known := o.after
		if known == nil {
			known = o.before
		}
		idle = idle && (known == nil || slices.Contains(known, "IDLE"))
		if first {
			all = slices.Clone(o.before)
		}
		first = false
		all = slices.DeleteFunc(all, func(s string) bool { return !slices.Contains(o.before, s) })
	}
	all = slices.DeleteFunc(all, ours)
	if idle {
		all = append(all, "IDLE")
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// ours reports whether a capability is about what is between the mail program and Waxseal, before the login.
// With LITERAL+ (RFC 7888), programs that keep it would send such literals to providers that have none.
func ours(s string) bool {
	switch s {
	case "IMAP4REV1", "SASL-IR", "ID", "IDLE", "STARTTLS", "LOGINDISABLED", "LITERAL+", "LITERAL-", "LOGIN-REFERRALS", "UNAUTHENTICATE":
		return true
	}
	return strings.HasPrefix(s, "AUTH=") || !isTag(strings.ReplaceAll(s, "+", ""))
}

// capabilityList reads the words of a CAPABILITY response or code, in upper case.
func capabilityList(s string) []string {
	words := strings.Fields(strings.ToUpper(s))
	if words == nil {
		words = []string{}
	}
	return words
}
