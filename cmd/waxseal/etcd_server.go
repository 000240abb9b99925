//go:build nogui

package main

import (
	"github.com/waxseal/waxseal/keystore/etcd"
	"github.com/waxseal/waxseal/keystore/shared"
	"github.com/waxseal/waxseal/proxy/config"
)

// hasEtcd: the program for servers contains etcd's client, which is a fifth of it. The desktop program does not.
const hasEtcd = true

func newEtcd(c config.Etcd, password string) (shared.Engine, error) {
	return etcd.Open(etcd.Config{
		Endpoints: c.Endpoints, Prefix: c.Prefix, CAFile: c.CAFile, CertFile: c.CertFile, KeyFile: c.KeyFile, User: c.User, Password: password,
	})
}
