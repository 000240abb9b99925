package ui

import (
	"errors"
	"net/netip"
	"slices"
	"strings"

	"fyne.io/fyne/v2"

	"github.com/waxseal/waxseal/proxy/api"
)

// Where devices on the network connect, unless another program has the port. They are not
// the ports of this computer's own programs: a listener on every address would exclude those.
const (
	deviceAddress    = "0.0.0.0:2587"
	deviceAddressTLS = "0.0.0.0:2465"
)

// devices lets scanners, printers and other devices on the network send through Waxseal, and
// shows what to enter in them.
type devices struct {
	s        *settings
	root     fyne.CanvasObject
	on       *check
	said     *remark
	all      *fyne.Container // what to enter, if they may
	server   *valueRow
	tls      *valueRow
	starttls *valueRow
	also     *text
	firewall *text
	command  *fyne.Container
	rule     *text
}

func newDevices(s *settings) *devices {
	w := s.w
	d := &devices{s: s, said: newRemark(), also: newMuted(""), firewall: newBody(""), rule: newText("", kind{mono: true, size: "helperText"})}
	d.on = w.kit.check(tr("Scanners, printers and other devices may send"), func(on bool) { d.choose(on) })
	d.server = newValueRow(w, tr("Server"), false)
	d.tls = newValueRow(w, tr("Port, SSL/TLS"), false)
	d.starttls = newValueRow(w, tr("Port, STARTTLS"), false)
	d.command = newBox(newLine(4, nil, d.rule, w.copyButton("", tr("Copy"), func() string { return d.rule.Text })))
	d.all = newColumn(10, newColumn(0, d.server.root, d.tls.root, d.starttls.root), d.also,
		newMuted(tr("The user name and password are those that the account’s page shows. A device must use TLS or STARTTLS; without, Waxseal accepts no password from it.")),
		d.firewall, d.command)
	d.root = newColumn(12, newColumn(0, padded(-8, -4, d.on), d.said.beside(28)), d.all)
	return d
}

// set shows what the engine has.
func (d *devices) set(p api.Settings) {
	plain, tls := fromOutside(p.Listen), fromOutside(p.ListenTLS)
	on := p.AllowRemote && len(plain)+len(tls) > 0
	d.on.SetChecked(on)
	show(d.all, on)
	if !on {
		return
	}
	here, network, others := places(p.Networks)
	d.server.set(here)
	show(d.server.root, here != "")
	d.tls.set(strings.Join(ports(tls), ", "))
	show(d.tls.root, len(tls) > 0)
	d.starttls.set(strings.Join(ports(plain), ", "))
	show(d.starttls.root, len(plain) > 0)
	d.also.set("")
	switch {
	case here == "":
		d.also.set(tr("This computer has no network now."))
	case len(others) > 0:
		d.also.set(tr("In other networks, this computer has the address {{.Addresses}}.", values{"Addresses": strings.Join(others, ", ")}))
	}
	show(d.also, d.also.Text != "")
	all := strings.Join(ports(slices.Concat(tls, plain)), ", ")
	if network == "" {
		network = tr("your network")
	}
	d.firewall.set(tr("In this computer’s firewall, let devices of {{.Network}} connect to TCP ports {{.Ports}}.", values{"Network": network, "Ports": all}))
	d.rule.set(p.Firewall)
	show(d.command, p.Firewall != "")
}

// mostTaken is how many taken ports are replaced before the error is shown.
const mostTaken = 5

// choose opens the ports for devices, or closes them. A port that another program has is
// replaced by a free one: no device has been told yet.
func (d *devices) choose(on bool) {
	s := d.s
	s.changeBy(func(p *api.Settings) {
		p.AllowRemote = on
		p.Listen, p.ListenTLS = without(p.Listen, fromOutside(p.Listen)), without(p.ListenTLS, fromOutside(p.ListenTLS))
		if on {
			p.Listen, p.ListenTLS = append(p.Listen, deviceAddress), append(p.ListenTLS, deviceAddressTLS)
		}
	}, func(ctx ctx, was, to api.Settings) ([]string, error) {
		for try := 0; ; try++ {
			notes, err := s.w.backend.Configure(ctx, was.Change(to))
			var taken *api.PortTakenError
			if !on || try == mostTaken || !errors.As(err, &taken) || taken.Free == "" {
				return notes, err
			}
			to.Listen, to.ListenTLS = replaced(to.Listen, taken), replaced(to.ListenTLS, taken)
		}
	}, d.said)
}

// places takes this computer's addresses apart: the one to give to devices, its network, and
// its addresses in other networks of the same version of IP.
func places(networks []string) (here, network string, others []string) {
	for _, text := range networks {
		p, err := netip.ParsePrefix(text)
		switch {
		case err != nil:
		case here == "":
			here, network = p.Addr().String(), p.Masked().String()
		case p.Addr().Is4():
			others = append(others, p.Addr().String())
		}
	}
	return here, network, others
}
