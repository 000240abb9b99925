package mailbox

import (
	"fmt"
	"runtime/debug"
)

// Apart runs f on a goroutine of its own and waits for its end. A login reaches deep, into TLS, keystore,
// token and provider, and a stack that has grown does not shrink: a connection that has only logged in
// keeps a stack of 4 KiB instead of 8, for as long as it lasts. If f panics, Apart returns what with, and
// where; otherwise "".
func Apart(f func()) (panicked string) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer func() {
			if r := recover(); r != nil {
				panicked = fmt.Sprintf("%v\n%s", r, debug.Stack())
			}
		}()
		f()
	}()
	<-done
	return panicked
}
