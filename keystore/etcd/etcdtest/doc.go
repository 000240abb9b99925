// Package etcdtest runs etcd on this machine, for tests: one node or several, which can be killed, hung and
// started again. It skips the test where etcd is not installed (Debian's etcd-server).
package etcdtest
