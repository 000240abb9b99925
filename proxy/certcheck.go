package proxy

import (
	"time"

	"github.com/waxseal/waxseal/proxy/api"
	"github.com/waxseal/waxseal/proxy/localtls"
)

// expiresSoon is how long before its end a certificate should have been renewed. Let's Encrypt's
// programs renew 30 days before it.
const expiresSoon = 14 * 24 * time.Hour

// checkCertificate checks the certificate of [tls]: the files as they are now, not those that were
// read last.
func (s *Server) checkCertificate(files *localtls.Files) (finding, error) {
	problem := func(what, cure string, pairs ...string) (finding, error) {
		return finding{}, &api.Problem{Lasting: true, What: api.Say(what, pairs...), Cure: api.Say(cure, pairs...)}
	}
	cert, err := files.Load()
	if err != nil {
		return finding{}, badCertificate(err)
	}
	leaf, now := cert.Leaf, s.opts.Now()
	date, names := leaf.NotAfter.UTC().Format(time.DateOnly), localtls.Names(leaf)
	switch name := s.config().Hostname; {
	case !now.Before(leaf.NotAfter):
		return problem("The certificate for TLS expired on {{.Date}}.", "Renew it. Waxseal reads the new files without a restart.", "Date", date)
	case leaf.NotAfter.Sub(now) < expiresSoon:
		return problem("The certificate for TLS expires on {{.Date}} and has not been renewed.", "Check the program that renews it. Waxseal reads the new files without a restart.", "Date", date)
	case now.Before(leaf.NotBefore):
		return problem("The certificate for TLS is not valid yet.", "Check this computer’s clock.")
	case name != "" && leaf.VerifyHostname(name) != nil:
		return problem("The certificate for TLS is for {{.Names}}, not for {{.Host}}.", "Have one issued for {{.Host}}, or change hostname in the configuration.", "Names", names, "Host", name)
	}
	if w := files.KeyWarning(); w != nil {
		return problem("Every user of this computer can read the certificate’s key {{.File}}.", "Run chmod o-rwx {{.File}}", "File", files.Key)
	}
	f := found("{{.Names}}, valid until {{.Date}}", "Names", names, "Date", date)
	f.until = leaf.NotAfter
	return f, nil
}
