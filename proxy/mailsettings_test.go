package proxy

import (
	"reflect"
	"testing"

	"github.com/waxseal/waxseal/proxy/api"
)

func TestMailServers(t *testing.T) {
	got := mailServers([]api.Listener{
		{Address: "[::1]:1587", Security: "starttls"}, {Address: "127.0.0.1:1465", Security: "tls"},
		{Address: "127.0.0.1:1587", Security: "starttls"}, {Address: "nonsense", Security: "tls"},
	})
	want := []api.MailServer{{Host: "127.0.0.1", Port: 1587, Security: "starttls"}, {Host: "127.0.0.1", Port: 1465, Security: "tls"}, {Host: "::1", Port: 1587, Security: "starttls"}}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}
