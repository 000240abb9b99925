package proxy

import (
	"maps"
	"testing"

	"github.com/waxseal/waxseal/proxy/breaker"
)

// The path of a token endpoint may contain the ID of a tenant, which was in the metrics.
func TestMetricsNameNoTenant(t *testing.T) {
	got := breakersByHost([]breaker.Status{
		{Name: "token login.microsoftonline.com/contoso.example/oauth2/v2.0/token", State: breaker.Open, Transitions: 3},
		{Name: "token login.microsoftonline.com/common/oauth2/v2.0/token", State: breaker.Closed, Transitions: 2},
		{Name: "token oauth2.googleapis.com/token", State: breaker.HalfOpen},
	}, []breaker.Status{{Name: "smtp smtp.office365.com:587", Transitions: 1}})
	want := map[string]breaker.Status{
		"token login.microsoftonline.com": {State: breaker.Open, Transitions: 5},
		"token oauth2.googleapis.com":     {State: breaker.HalfOpen},
		"smtp smtp.office365.com:587":     {Transitions: 1},
	}
	if !maps.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}
