package proxy

import (
	"reflect"
	"testing"

	"github.com/waxseal/waxseal/proxy/api"
	"github.com/waxseal/waxseal/proxy/machine"
)

func TestMailServers(t *testing.T) {
	got := mailServers([]api.Listener{
		{Address: "[::1]:1587"}, {Address: "127.0.0.1:1465", TLS: true},
		{Address: "127.0.0.1:1587"}, {Address: "nonsense", TLS: true},
	})
	want := []api.MailServer{{Host: "127.0.0.1", Port: 1587}, {Host: "127.0.0.1", Port: 1465, TLS: true}, {Host: "::1", Port: 1587}}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

// A mail program on this computer uses the addresses of this computer, whatever else there is for
// devices on the network; and nobody can enter the address that stands for every address.
func TestMailServersForDevices(t *testing.T) {
	got := mailServers([]api.Listener{
		{Address: "0.0.0.0:2587"}, {Address: "127.0.0.1:1587"}, {Address: "0.0.0.0:2465", TLS: true}, {Address: "[::1]:1465", TLS: true},
	})
	if len(got) != 4 || got[0].Host != "127.0.0.1" || got[1].Host != "::1" || got[2].Port != 2587 || got[3].Port != 2465 {
		t.Errorf("got %v", got)
	}
	if len(machine.Networks()) > 0 && got[2].Host == "0.0.0.0" {
		t.Errorf("a device would be told to connect to %s", got[2].Host)
	}
}
