package ui

import (
	"strconv"
	"strings"
	"time"
)

// number groups the digits by thousands.
func number(n int64) string {
	s := strconv.FormatInt(n, 10)
	sign := ""
	if n < 0 {
		sign, s = "−", s[1:]
	}
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + tr(",") + s[i:]
	}
	return sign + s
}

// decimal formats a number with one decimal place.
func decimal(f float64) string {
	return strings.Replace(strconv.FormatFloat(f, 'f', 1, 64), ".", tr("."), 1)
}

// size formats a number of bytes with a suitable unit.
func size(bytes int64) string {
	f := float64(bytes)
	switch {
	case bytes < 1000:
		return trn("{{.N}} bytes", bytes)
	case f < 999_500:
		return tr("{{.N}} KB", values{"N": number(int64(f/1e3 + 0.5))})
	case f < 1e9:
		return tr("{{.N}} MB", values{"N": decimal(f / 1e6)})
	}
	return tr("{{.N}} GB", values{"N": decimal(f / 1e9)})
}

// took formats a duration.
func took(d time.Duration) string {
	switch {
	case d < time.Second:
		return tr("{{.N}} ms", values{"N": number(max(0, d.Milliseconds()))})
	case d < 10*time.Second:
		return tr("{{.N}} s", values{"N": decimal(d.Seconds())})
	case d < 2*time.Minute:
		return tr("{{.N}} s", values{"N": number(int64(d.Seconds() + 0.5))})
	}
	return trn("{{.N}} minutes", int64(d.Minutes()))
}

// ago formats a past time relative to now.
func ago(t, now time.Time) string {
	switch d := now.Sub(t); {
	case t.IsZero():
		return tr("never")
	case d < time.Minute:
		return tr("just now")
	case d < time.Hour:
		return trn("{{.N}} minutes ago", int64(d.Minutes()))
	case d < 24*time.Hour:
		return trn("{{.N}} hours ago", int64(d.Hours()))
	default:
		return trn("{{.N}} days ago", int64(d.Hours()/24))
	}
}

// seconds counts down: it is never 0 while there is time left.
func seconds(d time.Duration) int64 {
	return int64((max(0, d) + time.Second - 1) / time.Second)
}

// clock formats a time of day, with the date unless it is today.
func clock(t, now time.Time) string {
	t = t.In(now.Location())
	if t.Format(time.DateOnly) == now.Format(time.DateOnly) {
		return t.Format("15:04:05")
	}
	return date(t) + " " + t.Format("15:04")
}

// date is a day.
func date(t time.Time) string {
	months := strings.Split(tr("Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec"), " ")
	return tr("{{.Day}} {{.Month}}", values{"Day": strconv.Itoa(t.Day()), "Month": months[t.Month()-1]})
}
