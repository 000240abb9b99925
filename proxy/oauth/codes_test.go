package oauth

import "testing"

// Every code that a reason names is explained by that reason.
func TestCodesAreExplained(t *testing.T) {
	n := 0
	for _, r := range Reasons() {
		for _, code := range r.Codes() {
			n++
			if got := ReasonFor(code); got != r {
				t.Errorf("%s of %s is explained as %q", code, r, got)
			}
		}
	}
	if n != len(aadsts)+len(codes)+len(general) {
		t.Errorf("%d codes, but the tables have %d", n, len(aadsts)+len(codes)+len(general))
	}
}
