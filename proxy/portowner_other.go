//go:build !linux

package proxy

// portOwner does not know who uses a port on this system.
func portOwner(string) owner { return owner{} }
