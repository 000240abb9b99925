package ui

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/waxseal/waxseal/proxy/api"
)

// The switch opens ports for devices, and takes the free one for a port that another program
// has; switched off again, only this computer's own addresses are left.
func TestDevices(t *testing.T) {
	b := busyOffice()
	b.settings.Networks = []string{"192.168.1.20/24", "10.0.0.5/8"}
	own := b.settings
	taken := true
	b.configure = func(to api.Settings) ([]string, error) {
		if taken && slices.Contains(to.ListenTLS, deviceAddressTLS) {
			return nil, &api.PortTakenError{Address: deviceAddressTLS, Free: "0.0.0.0:2466"}
		}
		return nil, nil
	}
	s := newStage(t, b, staging{})
	s.shows()
	s.w.show(Page{Name: "settings"})
	p := s.w.pages["settings"].(*settings)
	d := p.devices
	s.until("the settings are there", func() bool { return p.all.Visible() })
	if d.all.Visible() {
		t.Error("it shows what to enter while nobody may send")
	}
	d.on.SetChecked(true)
	s.until("the ports are open", func() bool { return d.all.Visible() })
	if !b.settings.AllowRemote || !slices.Equal(b.settings.Listen, append(slices.Clone(own.Listen), deviceAddress)) ||
		!slices.Equal(b.settings.ListenTLS, append(slices.Clone(own.ListenTLS), "0.0.0.0:2466")) {
		t.Errorf("listens on %v and, with TLS, %v", b.settings.Listen, b.settings.ListenTLS)
	}
	if d.server.is != "192.168.1.20" || d.tls.is != "2466" || d.starttls.is != "2587" || d.command.Visible() {
		t.Errorf("says to enter %q, %q, %q", d.server.is, d.tls.is, d.starttls.is)
	}
	d.on.SetChecked(false)
	s.until("they are closed", func() bool { return !d.all.Visible() })
	if b.settings.AllowRemote || !slices.Equal(b.settings.Listen, own.Listen) || !slices.Equal(b.settings.ListenTLS, own.ListenTLS) {
		t.Errorf("afterwards: %+v", b.settings)
	}
}

// After five ports that other programs had, the page said that everything was saved.
func TestDevicesFindNoPort(t *testing.T) {
	b := busyOffice()
	own := b.settings
	tries := 0
	b.configure = func(to api.Settings) ([]string, error) {
		tries++
		taken := to.Listen[len(to.Listen)-1]
		return nil, &api.PortTakenError{Address: taken, Free: fmt.Sprintf("0.0.0.0:%d", 2600+tries)}
	}
	s := newStage(t, b, staging{})
	s.shows()
	s.w.show(Page{Name: "settings"})
	p := s.w.pages["settings"].(*settings)
	d := p.devices
	s.until("the settings are there", func() bool { return p.all.Visible() })
	d.on.SetChecked(true)
	s.until("it says what became of it", func() bool { return d.said.Visible() })
	if got := d.said.Text; !strings.Contains(got, "0.0.0.0:2605 is taken") {
		t.Errorf("after %d tries it says %q", tries, got)
	}
	if d.on.Checked || d.all.Visible() || b.settings.AllowRemote || !slices.Equal(b.settings.Listen, own.Listen) {
		t.Errorf("afterwards: %+v", b.settings)
	}
}
