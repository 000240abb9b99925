//go:build !nogui && !linux

package main

import "context"

// saysNoScheme reports whether the desktop does not say if it is light or dark. These do.
func saysNoScheme(context.Context) bool { return false }
