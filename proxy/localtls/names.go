package localtls

import (
	"crypto/x509"
	"slices"
	"strings"
)

// Names lists the names and addresses that a certificate is for.
func Names(leaf *x509.Certificate) string {
	names := slices.Clone(leaf.DNSNames)
	for _, ip := range leaf.IPAddresses {
		names = append(names, ip.String())
	}
	return strings.Join(names, ", ")
}
