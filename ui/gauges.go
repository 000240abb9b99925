package ui

import (
	"slices"
	"time"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/theme"

	"github.com/waxseal/waxseal/proxy/api"
)

// gauges are the live numbers.
type gauges struct {
	root                          *fyne.Container
	connections, messages, minute *gauge
	upstream                      *gauge
	chart                         *chart
	meter                         *meter
	of                            *text // the upstream limit

	reading *fyne.Container // shown only if some account reads
	read    map[api.Protocol]*readGauge
	bytes   *gauge
}

// gauge is one number with its name, and space for a chart.
type gauge struct {
	*fyne.Container
	value *text
	note  *text
}

func newGauge(name string, picture fyne.CanvasObject) *gauge {
	g := &gauge{value: newWord("0", kind{size: theme.SizeNameHeadingText, bold: true}), note: newCaption("")}
	g.note.Wrapping, g.note.Truncation = fyne.TextWrapOff, fyne.TextTruncateEllipsis
	label := newText(name, kind{size: theme.SizeNameCaptionText, muted: lowImportance, single: true})
	if picture == nil {
		picture = newSpace(1)
	}
	g.Container = newStack(newSheet(colorCard, colorCardBorder, 12),
		padded(14, 12, newColumn(2, label, newLine(10, []fyne.CanvasObject{g.value}, picture), g.note)))
	return g
}

func newGauges() *gauges {
	g := &gauges{chart: newChart(), meter: newMeter()}
	g.of = newText("", kind{size: theme.SizeNameCaptionText, muted: lowImportance, single: true})
	g.connections = newGauge(tr("Connections"), nil)
	g.messages = newGauge(tr("Messages in progress"), nil)
	g.upstream = newGauge(tr("Provider connections"), newColumn(4, g.of, g.meter))
	g.minute = newGauge(tr("Messages per minute"), g.chart)
	g.bytes = newGauge(tr("Mail read"), nil)
	g.read = map[api.Protocol]*readGauge{api.IMAP: newReadGauge(tr("Reading with IMAP")), api.POP: newReadGauge(tr("Reading with POP"))}
	g.reading = newGrid(150, 10, 3, g.read[api.IMAP].Container, g.read[api.POP].Container, g.bytes.Container)
	g.root = newGrid(150, 10, 4, g.connections.Container, g.messages.Container, g.minute.Container, g.upstream.Container)
	return g
}

func (g *gauges) draw(s api.Snapshot, passed time.Duration, now time.Time) {
	g.connections.value.set(number(s.Connections))
	g.connections.note.set(tr("from mail programs"))
	if s.Reads() {
		g.connections.note.set(tr("for sending"))
	}
	g.drawReading(s)
	g.messages.value.set(number(s.Messages))
	g.messages.note.set(tr("{{.N}} sent so far", values{"N": number(s.Totals[api.Sent])}))
	if n := waiting(s); n > 0 {
		g.messages.note.set(trn("{{.N}} waiting", n))
	}
	minutes := moved(s.PerMinute, int(now.Truncate(time.Minute).Sub(now.Add(-passed).Truncate(time.Minute))/time.Minute))
	g.chart.set(minutes)
	g.minute.value.set(number(lastOf(minutes)))
	g.minute.note.set(trn("{{.N}} in the last hour", sum(minutes)))
	u := s.Upstream
	g.upstream.value.set(number(u.Warm + u.Busy))
	g.of.set(tr("of {{.Limit}}", values{"Limit": number(u.Limit)}))
	g.upstream.note.set(tr("{{.Busy}} in use · {{.Warm}} idle", values{"Busy": number(u.Busy), "Warm": number(u.Warm)}))
	g.meter.set(u.Warm+u.Busy, u.Limit)
}

// readGauge is the number of sessions of a protocol, and of the spare connections beside them.
type readGauge struct {
	*gauge
	spares *text
}

func newReadGauge(name string) *readGauge {
	spares := newText("", kind{size: theme.SizeNameCaptionText, muted: lowImportance, single: true})
	return &readGauge{newGauge(name, spares), spares}
}

// drawReading draws what mail programs that read do. A session is a connection of a mail program
// and one to a provider, so these gauges share nothing with those of sending.
func (g *gauges) drawReading(s api.Snapshot) {
	show(g.reading, s.Reads())
	var down, up int64
	for p, of := range g.read {
		i := slices.IndexFunc(s.Reading, func(r api.ReadGauges) bool { return r.Protocol == p })
		if show(of.Container, i >= 0); i < 0 {
			continue
		}
		r := s.Reading[i]
		down, up = down+r.Down, up+r.Up
		of.value.set(number(r.Sessions))
		of.note.set(trn("{{.N}} logins so far", r.Logins))
		of.spares.set(only(r.Spares > 0, tr("{{.N}} in reserve", values{"N": number(r.Spares)})))
	}
	g.bytes.value.set(size(down))
	g.bytes.note.set(tr("{{.Size}} to providers", values{"Size": size(up)}))
}

// waiting is how many messages wait because a provider's limit is used up.
func waiting(s api.Snapshot) (n int64) {
	for _, a := range s.Accounts {
		n += int64(a.Upstream.Waiting)
	}
	return n
}

func lastOf(list []int64) int64 {
	if len(list) == 0 {
		return 0
	}
	return list[len(list)-1]
}

func sum(list []int64) (n int64) {
	for _, v := range list {
		n += v
	}
	return n
}
