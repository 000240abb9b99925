package upstream

// stuffer turns a body into what follows DATA (RFC 5321 section 4.5.2): a dot at the start of a line is
// doubled, and a line with only a dot comes last. Lines end in CRLF and nothing else. The zero value
// stands at a body's start.
//
// What other servers might take for such an end is refused: a dot alone between a bare CR or LF and any
// CR or LF, or the end of the body. Zero bytes do not count, since some servers drop them before they
// look.
type stuffer struct{ at place }

type place int

const (
	lineStart place = iota // after CRLF, or at the start
	inLine
	behindCR
	bareStart // after a bare LF
	bareDot   // after a bare CR or LF and a dot
)

// encode appends p, encoded, to dst, and the end of the body after its last piece.
func (s *stuffer) encode(dst, p []byte, last bool) ([]byte, error) {
	from := 0 // p[from:i] is to be copied
	for i := 0; i < len(p); i++ {
		if s.at == inLine { // mostly: skip to the line's end
			for i < len(p) && p[i] != '\r' && p[i] != '\n' {
				i++
			}
			if i == len(p) {
				break
			}
		}
		switch b := p[i]; {
		case s.at == bareDot && (b == '\r' || b == '\n'):
			return nil, ErrBareLineEnd
		case b == '\r':
			s.at = behindCR
		case b == '\n' && s.at == behindCR:
			s.at = lineStart
		case b == '\n':
			s.at = bareStart
		case b == '.' && s.at == lineStart:
			dst = append(append(dst, p[from:i]...), '.')
			from, s.at = i, inLine
		case b == '.' && (s.at == behindCR || s.at == bareStart):
			s.at = bareDot
		case b == 0 && s.at != inLine:
			if s.at != bareDot {
				s.at = bareStart
			}
		default:
			s.at = inLine
		}
	}
	dst = append(dst, p[from:]...)
	switch {
	case !last:
		return dst, nil
	case s.at == bareDot:
		return nil, ErrBareLineEnd
	case s.at != lineStart:
		dst = append(dst, '\r', '\n')
	}
	return append(dst, '.', '\r', '\n'), nil
}
