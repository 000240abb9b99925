package oauth

import (
	"fmt"
	"net/http"
	"time"
)

// clockTolerance is how far this computer's clock may be off before it is suspected. Providers tolerate
// five minutes in the times that tokens and assertions hold.
const clockTolerance = 5 * time.Minute

// ClockError is a check of times that failed while this computer's clock and the provider's differ.
type ClockError struct {
	Off time.Duration // how far this computer's clock is ahead of the provider's
	Err error         // the check
}

func (e *ClockError) Error() string { return e.Err.Error() + "; " + offText(e.Off) }

// Unwrap gives Err.
func (e *ClockError) Unwrap() error { return e.Err }

// ClockOff is how far this computer's clock is ahead of the provider's, by the Date header of the
// answer that err is about. It is 0 where that is unknown, or not more than five minutes.
func ClockOff(err error) time.Duration {
	switch e := firstOf(err).(type) {
	case *ConsentError:
		return e.ClockOff
	case *AdminError:
		return e.ClockOff
	case *RefusedError:
		return e.ClockOff
	case *EndpointError:
		return e.ClockOff
	case *ClockError:
		return e.Off
	}
	return 0
}

// clockOff compares the Date header of an answer with this computer's clock, between which the
// request and the answer may have taken their time.
func clockOff(header http.Header, sent, received time.Time) time.Duration {
	date, err := http.ParseTime(header.Get("Date"))
	if err != nil {
		return 0
	}
	off := time.Duration(0)
	if ahead := sent.Round(0).Sub(date); ahead > clockTolerance {
		off = ahead
	} else if behind := received.Round(0).Sub(date); behind < -clockTolerance {
		off = behind
	}
	return off.Round(time.Second)
}

// clockHint adds to a refusal that the clock may be the cause.
func clockHint(r Reason, off time.Duration) string {
	if off == 0 || r != ClockWrong {
		return ""
	}
	return "; " + offText(off)
}

func offText(off time.Duration) string {
	direction := "ahead of"
	if off < 0 {
		off, direction = -off, "behind"
	}
	off = off.Round(time.Minute)
	return fmt.Sprintf("this computer's clock is %d h %d min %s the provider's: set it right", int(off.Hours()), int(off.Minutes())%60, direction)
}
