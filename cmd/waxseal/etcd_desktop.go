//go:build !nogui

package main

import (
	"errors"

	"github.com/waxseal/waxseal/keystore/shared"
	"github.com/waxseal/waxseal/proxy/config"
)

const hasEtcd = false

func newEtcd(config.Etcd, string) (shared.Engine, error) {
	return nil, errors.New("this program was built without etcd")
}
