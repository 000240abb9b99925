package providertest

import (
	"encoding/base64"
	"slices"
	"strings"
	"time"
)

// auth responds to AUTH, with an initial response or without (RFC 5034).
func (s *popSession) auth(arg string) error {
	mechanism, initial, hasInitial := strings.Cut(arg, " ")
	s.mechanism = strings.ToUpper(mechanism)
	if arg == "" { // what programs asked before there was CAPA
		s.ok("")
		for _, m := range s.p.opts.Mechanisms {
			s.text(m)
		}
		s.text(".")
		return nil
	}
	if !slices.Contains(s.p.opts.Mechanisms, s.mechanism) {
		return s.bad("Unsupported authentication mechanism")
	}
	if !hasInitial {
		s.text("+ ")
		b, err := s.line(saslLine, s.p.opts.Lax)
		if err != nil {
			return err
		}
		initial = string(b)
	}
	response, err := base64.StdEncoding.DecodeString(initial)
	if err != nil {
		return s.bad("Authentication cancelled, or not base64")
	}
	user, token, ok := parseBearer(s.mechanism, string(response))
	if !ok {
		return s.bad("Cannot decode " + s.mechanism + " response")
	}
	return s.check(user, token)
}

// check accepts or refuses a token, and locks the mailbox.
func (s *popSession) check(user, token string) error {
	if skip, err := s.step(StepAuth, user, 0); err != nil {
		return err
	} else if skip {
		return s.refused()
	}
	if _, status := s.p.admit(POP, user, token); status != "" {
		s.text("+ " + base64.StdEncoding.EncodeToString([]byte(s.p.report(POP, status))))
		if _, err := s.line(saslLine, s.p.opts.Lax); err != nil {
			return err
		}
		s.no("[AUTH] Invalid credentials")
		return s.refused()
	}
	box := s.p.mailroom.open(user)
	if why := s.lock(box); why != "" {
		return s.no(why)
	}
	s.peer.login(user, 0)
	return s.ok("Logged in")
}

// lock takes the mailbox for this session, or says why it cannot (RFC 1939 section 4, RFC 2449 section 8).
func (s *popSession) lock(b *box) (why string) {
	s.p.mailroom.mu.Lock()
	defer s.p.mailroom.mu.Unlock()
	switch {
	case b.locked:
		return "[IN-USE] The mailbox is in use by another session"
	case time.Since(b.loggedIn) < s.p.opts.LoginDelay:
		return "[LOGIN-DELAY] Too soon after the last login"
	}
	s.box, b.locked, b.loggedIn = b, true, time.Now()
	s.letters, s.deleted = slices.Clone(b.folders[inbox].letters), map[*letter]bool{}
	return ""
}

// unlock gives the mailbox back.
func (s *popSession) unlock() {
	if s.box == nil {
		return
	}
	s.p.mailroom.mu.Lock()
	s.box.locked = false
	s.p.mailroom.mu.Unlock()
}

// refused counts a refused login. The third one ends the connection.
func (s *popSession) refused() error {
	if s.refuseLogin() {
		return s.linger()
	}
	return nil
}
