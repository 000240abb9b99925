package providertest

// session is one SMTP connection.
type session struct {
	*peer

	greeted  bool // EHLO or HELO was accepted
	extended bool // it was EHLO
	tx       transaction
}

func (s *session) timeout() { s.reply(421, "4.4.2 Timeout, closing connection") }

// dialogue runs a connection from start to end: TLS if it comes first, the greeting, the commands.
func (s *session) dialogue() error {
	if s.door == doorTLS {
		if err := s.handshake(); err != nil {
			return err
		}
	}
	if skip, err := s.step(StepGreeting, "", 0); err != nil {
		return err
	} else if !skip {
		s.reply(220, "mx.provider.test ESMTP ready - gsmtp")
	}
	for {
		if err := s.command(); err != nil {
			return err
		}
	}
}

// handshake starts TLS on the connection.
func (s *session) handshake() error {
	if skip, err := s.step(StepTLS, "", 0); err != nil {
		return err
	} else if skip {
		return errEnd // a reply in clear text instead of a handshake
	}
	return s.startTLS()
}

// reply adds a reply to those collected. If a hook wants another reply of the same class, that one
// is sent instead. 421 ends the connection (RFC 5321 section 3.8).
func (s *session) reply(code int, text string) error {
	if s.act.Code != 0 && s.act.Code/100 == code/100 {
		code, text = s.act.Code, s.act.Text
		s.act = Action{}
	}
	s.out = appendReply(s.out, code, text)
	if code == 421 {
		return errEnd
	}
	return nil
}

// mistake replies to a command that nobody should send. A client that sends too many is disconnected.
func (s *session) mistake(code int, text string) error {
	if s.mistakes++; s.mistakes > 20 {
		return s.reply(421, "4.7.0 Too many errors on this connection, closing")
	}
	return s.reply(code, text)
}
