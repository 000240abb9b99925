//go:build !windows

package main

import (
	"testing"

	"github.com/waxseal/waxseal/keystore/etcd/etcdtest"
)

// startEtcd runs etcd until the test ends, and returns its URL.
func startEtcd(t *testing.T) string { return etcdtest.Start(t, 1).Endpoints()[0] }
