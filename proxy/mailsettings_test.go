package proxy

import (
	"reflect"
	"testing"
)

func TestMailServers(t *testing.T) {
	got := mailServers([]Listener{
		{Address: "[::1]:1587", Security: "starttls"}, {Address: "127.0.0.1:1465", Security: "tls"},
		{Address: "127.0.0.1:1587", Security: "starttls"}, {Address: "nonsense", Security: "tls"},
	})
	want := []MailServer{{"127.0.0.1", 1587, "starttls"}, {"127.0.0.1", 1465, "tls"}, {"::1", 1587, "starttls"}}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}
