package main

import "testing"

// startEtcd is not there: no script that needs etcd runs on Windows.
func startEtcd(t *testing.T) string {
	t.Error("etcd is not tested on Windows")
	return ""
}
