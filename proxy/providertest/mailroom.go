package providertest

import (
	"slices"
	"strings"
	"sync"
	"time"
)

// The folders that every mailbox has.
const (
	inbox     = "INBOX"
	elsewhere = "Elsewhere" // what the account sent to addresses that nobody has here
)

// mailroom has the mailboxes of the accounts that read. One mutex for all of them is enough for tests.
type mailroom struct {
	p *Provider

	mu      sync.Mutex
	boxes   map[string]*box // by folded account
	changed chan struct{}   // closed at the next change of any folder
	last    uint32          // the last UIDVALIDITY
}

// box is the mailbox of an account.
type box struct {
	folders    map[string]*folder
	subscribed map[string]bool
	locked     bool      // by a POP session (RFC 1939 section 4)
	loggedIn   time.Time // the last login by POP
}

// folder is a mailbox in the sense of RFC 3501.
type folder struct {
	validity, next uint32
	letters        []*letter
}

// letter is a message in a folder.
type letter struct {
	uid   uint32
	date  time.Time
	body  []byte // shared and never changed
	flags []string
	rev   int // counts the changes of flags
}

func (o *mailroom) init(p *Provider) {
	o.p, o.boxes, o.changed = p, map[string]*box{}, make(chan struct{})
	p.store.mailroom = o
}

// open returns an account's mailbox. The first time it makes it, with what has arrived until then.
func (o *mailroom) open(account string) *box {
	o.p.store.mu.Lock()
	defer o.p.store.mu.Unlock()
	o.mu.Lock()
	defer o.mu.Unlock()
	key := fold(account)
	if b := o.boxes[key]; b != nil {
		return b
	}
	b := &box{folders: map[string]*folder{}, subscribed: map[string]bool{inbox: true}}
	b.folders[inbox], b.folders[elsewhere] = o.folder(), o.folder()
	o.boxes[key] = b
	for _, m := range o.p.store.messages {
		o.deliver(key, b, m)
	}
	return b
}

// folder makes an empty folder. The caller must hold mu.
func (o *mailroom) folder() *folder {
	o.last++
	return &folder{validity: o.last, next: 1}
}

// arrived delivers a message to the mailboxes that are there.
func (o *mailroom) arrived(m Message) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for key, b := range o.boxes {
		o.deliver(key, b, m)
	}
}

// deliver puts a message into those folders of one mailbox that it belongs to. The caller must hold mu.
func (o *mailroom) deliver(key string, b *box, m Message) {
	if m.Body == nil && m.Size > 0 {
		return
	}
	to := func(there func(address string) bool) bool {
		return slices.ContainsFunc(m.Rcpts, func(r Rcpt) bool { return there(fold(r.To)) })
	}
	if to(func(a string) bool { return a == key }) {
		o.put(b.folders[inbox], letter{date: m.Time, body: m.Body})
	}
	if f := b.folders[elsewhere]; f != nil && fold(m.Account) == key && to(func(a string) bool { return !o.here(a) }) {
		o.put(f, letter{date: m.Time, body: m.Body, flags: []string{`\Seen`}})
	}
}

// here reports whether an address belongs to an account of this provider.
func (o *mailroom) here(address string) bool {
	if len(o.p.opts.Accounts) > 0 {
		return o.p.known(address)
	}
	o.p.grants.mu.Lock()
	defer o.p.grants.mu.Unlock()
	return o.boxes[address] != nil || len(o.p.grants.account[address]) > 0
}

// put appends a letter to a folder, with the folder's next UID. The caller must hold mu.
func (o *mailroom) put(f *folder, l letter) *letter {
	l.uid = f.next
	f.next++
	f.letters = append(f.letters, &l)
	o.tell()
	return &l
}

// tell wakes whoever waits for changes. The caller must hold mu.
func (o *mailroom) tell() {
	close(o.changed)
	o.changed = make(chan struct{})
}

// remove removes letters. The caller must hold mu.
func (o *mailroom) remove(f *folder, gone func(*letter) bool) {
	f.letters = slices.DeleteFunc(slices.Clone(f.letters), gone) // sessions may be looking at the old slice
	o.tell()
}

// has reports whether the letter has a flag. Flags differ in more than case (RFC 3501 section 2.3.2).
func (l *letter) has(flag string) bool {
	return slices.ContainsFunc(l.flags, func(f string) bool { return strings.EqualFold(f, flag) })
}

// mark changes the flags: how is "+" to add, "-" to remove, "" to replace.
func (l *letter) mark(how string, flags []string) {
	var next []string
	if how != "" {
		next = slices.Clone(l.flags)
	}
	for _, f := range flags {
		next = slices.DeleteFunc(next, func(old string) bool { return strings.EqualFold(old, f) })
		if how != "-" {
			next = append(next, f)
		}
	}
	if !slices.Equal(next, l.flags) {
		l.flags = next
		l.rev++
	}
}

// Deliver puts a message into the INBOX of an account, as if it had come from elsewhere.
func (p *Provider) Deliver(account string, message []byte) {
	b := p.mailroom.open(account)
	p.mailroom.mu.Lock()
	defer p.mailroom.mu.Unlock()
	p.mailroom.put(b.folders[inbox], letter{date: time.Now(), body: message})
}
