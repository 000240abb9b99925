package proxy

import (
	"reflect"
	"testing"

	"github.com/waxseal/waxseal/proxy/api"
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
