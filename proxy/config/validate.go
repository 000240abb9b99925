package config

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/waxseal/waxseal/keystore"
	"github.com/waxseal/waxseal/proxy/api"
	"github.com/waxseal/waxseal/proxy/balancer"
	"github.com/waxseal/waxseal/proxy/dial"
	"github.com/waxseal/waxseal/proxy/oauth"
	"github.com/waxseal/waxseal/proxy/upstream"
)

// Validate returns everything that is wrong with the configuration as one error, with a
// line for each problem that says what to do. It opens no file and does not use the
// network.
func (c Config) Validate() error {
	var errs []error
	for _, p := range c.WithDefaults().problems() {
		errs = append(errs, errors.New(p.text))
	}
	return errors.Join(shorten(errs)...)
}

// problems is Validate with the places. It expects a Config that has its defaults.
func (c Config) problems() []problem {
	found := slices.Concat(c.listenerProblems(), c.limitProblems())
	if _, ok := keystore.KindOf(c.Keystore); !ok {
		found = append(found, problem{key: "keystore",
			text: fmt.Sprintf("keystore is %q; use %s", c.Keystore, keystore.Choice(false))})
	}
	for _, word := range []struct{ key, is, last, use string }{
		{"log_level", c.LogLevel, "error", "debug info warn"},
		{"theme", c.Theme, "dark", "system light"},
		{"language", c.Language, "de", "system en"},
	} {
		if use := strings.Fields(word.use); word.is != word.last && !slices.Contains(use, word.is) {
			found = append(found, problem{key: word.key,
				text: fmt.Sprintf(`%s is %q; use "%s" or %q`, word.key, word.is, strings.Join(use, `", "`), word.last)})
		}
	}
	if err := checkHTTPProxy(c.HTTPProxy); err != nil {
		found = append(found, problem{key: "http_proxy", text: err.Error()})
	}
	if err := checkUpdates(c.Updates); err != nil {
		found = append(found, problem{key: "updates", text: err.Error()})
	}
	if c.Hostname != "" {
		if err := upstream.CheckHello(c.Hostname); err != nil {
			found = append(found, problem{key: "hostname", text: fmt.Sprintf("hostname: %v", err)})
		}
	}
	if c.TLS.Certificate == "" != (c.TLS.Key == "") {
		found = append(found, problem{table: "tls",
			text: `[tls] needs both certificate and key, like certificate = "fullchain.pem" and key = "privkey.pem"`})
	}
	if _, err := balancer.ParseNetworks(c.ProxyProtocol.From); err != nil {
		found = append(found, problem{table: "proxy_protocol", key: "from", text: fmt.Sprintf("[proxy_protocol] from: %v", err)})
	}
	return slices.Concat(found, c.etcdProblems(), c.providerProblems(), c.accountProblems())
}

func (c Config) etcdProblems() (found []problem) {
	report := func(key, format string, args ...any) {
		found = append(found, problem{table: "etcd", key: key, text: "[etcd]: " + fmt.Sprintf(format, args...)})
	}
	if c.Keystore != keystore.EtcdKind {
		return nil
	}
	if len(c.Etcd.Endpoints) == 0 {
		report("", `keystore = "etcd" needs endpoints, like endpoints = ["https://127.0.0.1:2379"]`)
	}
	for i, e := range c.Etcd.Endpoints {
		if u, err := url.Parse(e); err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Port() == "" || u.User != nil || strings.Trim(u.Path, "/") != "" {
			report("endpoints", `endpoint %d is not a URL with a port and nothing else, like "https://127.0.0.1:2379"`, i+1) // it may hold a password
		}
	}
	if p := c.Etcd.Prefix; !strings.HasPrefix(p, "/") || !strings.HasSuffix(p, "/") || strings.Contains(p, "//") {
		report("prefix", `prefix is %q; write it like "/waxseal/office/"`, p)
	}
	if (c.Etcd.CertFile == "") != (c.Etcd.KeyFile == "") {
		report("cert_file", "cert_file and key_file belong together; give both or neither")
	}
	return found
}

func (c Config) listenerProblems() []problem {
	var found []problem
	if len(c.Listen)+len(c.ListenTLS) == 0 && (c.Uses(api.SMTP) || len(c.Accounts) == 0) {
		found = append(found, problem{key: "listen", text: "listen and listen_tls are both empty, so no mail program could connect; add an address to one of them"})
	}
	for _, p := range []api.Protocol{api.IMAP, api.POP} {
		i := slices.IndexFunc(c.Accounts, func(a api.Account) bool { return a.Uses(p) })
		if i >= 0 && !slices.ContainsFunc(c.Listeners(), func(l api.Listener) bool { return l.Protocol == p }) {
			found = append(found, problem{key: "listen_" + string(p), text: fmt.Sprintf(
				"listen_%[1]s and listen_%[1]s_tls are both empty, but account %[2]s has %[1]q in its protocols; add an address to one of them", p, c.Accounts[i].Address)})
		}
	}
	taken := map[string]string{}
	// Addresses that are not opened take nobody's place: whoever never reads mail may have used the
	// defaults for something else.
	check := func(key, address string, opened bool) {
		host, port, err := splitHostPort(address)
		switch {
		case err != nil:
			found = append(found, problem{key: key, text: fmt.Sprintf(`%s %v; write it like "127.0.0.1:1587"`, key, err)})
			return
		case !api.IsLoopback(host) && !c.AllowRemote:
			found = append(found, problem{key: key, text: fmt.Sprintf(
				`%s %q can be reached from other machines; use 127.0.0.1 or [::1], or set allow_remote = true`, key, address)})
		case opened && taken[strings.ToLower(address)] != "" && port != 0:
			found = append(found, problem{key: key, text: fmt.Sprintf("%s %q is already used by %s; choose another port", key, address, taken[strings.ToLower(address)])})
		}
		if opened {
			taken[strings.ToLower(address)] = key
		}
	}
	for _, k := range listenKeys {
		for _, address := range *k.of(&c) {
			check(k.name, address, !k.protocol.Reads() || c.Uses(k.protocol))
		}
	}
	if c.Metrics != "" {
		check("metrics", c.Metrics, true)
	}
	return found
}

func (c Config) limitProblems() []problem {
	var found []problem
	for key, n := range map[string]int{
		"max_connections":             c.MaxConnections,
		"max_connections_per_account": c.MaxConnectionsPerAccount,
	} {
		if n < 0 {
			found = append(found, problem{key: key, text: fmt.Sprintf("%s is %d; it must be at least 1", key, n)})
		}
	}
	for key, d := range map[string]Duration{"idle_timeout": c.IdleTimeout, "shutdown_timeout": c.ShutdownTimeout} {
		// A number without a unit arrives here as nanoseconds.
		if d < Duration(10*time.Millisecond) {
			found = append(found, problem{key: key, text: fmt.Sprintf(`%s is %s, which is too short; write it with its unit, like "5m"`, key, d)})
		}
	}
	switch d := c.DrainDelay; {
	case d > 0 && c.Metrics == "":
		found = append(found, problem{key: "drain_delay", text: "drain_delay is set, but metrics is empty, so no load balancer can learn from /readyz that Waxseal stops; set metrics, or remove drain_delay"})
	case d != 0 && d < Duration(10*time.Millisecond):
		found = append(found, problem{key: "drain_delay", text: fmt.Sprintf(`drain_delay is %s, which is too short; write it with its unit, like "10s", or "0s" for none`, d)})
	}
	slices.SortFunc(found, func(a, b problem) int { return strings.Compare(a.key, b.key) })
	return found
}

func (c Config) providerProblems() []problem {
	var found []problem
	list := c.Catalogue() // it begins with the file's own entries, in their order
	owner := map[string]int{}
	for i, own := range c.Providers {
		report := func(key, format string, args ...any) {
			found = append(found, problem{"provider", i, key, fmt.Sprintf("provider %q: ", own.ID) + fmt.Sprintf(format, args...)})
		}
		if own.ID == "" || strings.ContainsFunc(own.ID, isSpaceOrControl) {
			report("id", `id must be one word, like id = "corp"`)
			continue
		}
		for _, name := range list[i].distinctNames() {
			if first, ok := owner[name]; ok {
				report("id", "the name %q already belongs to provider %q; choose another", name, c.Providers[first].ID)
				break
			}
			owner[name] = i
		}
		for _, b := range list[len(c.Providers):] {
			if near := slices.IndexFunc(own.Aliases, b.hasName); near >= 0 {
				report("aliases", "the alias %q belongs to the built-in provider %q; choose another", own.Aliases[near], b.ID)
			}
		}
		list[i].check(report)
	}
	return found
}

// distinctNames returns the provider's id and aliases in lower case, each once.
func (p Provider) distinctNames() []string {
	var names []string
	for _, name := range append([]string{p.ID}, p.Aliases...) {
		if name = strings.ToLower(name); !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names
}

// check reports what is wrong with a complete provider, and at which key.
func (p Provider) check(report func(key, format string, args ...any)) {
	if p.MaxConnections < 0 || p.ReadConnections < 0 {
		report("max_connections", "max_connections and read_connections must not be negative")
	}
	checkLimits(report, sendingLimit{"max_per_minute", p.MaxPerMinute},
		sendingLimit{"max_messages_per_day", p.MaxMessages}, sendingLimit{"max_messages_per_day_hosted", p.MaxMessagesHosted},
		sendingLimit{"max_recipients_per_day", p.MaxRecipients}, sendingLimit{"max_recipients_per_day_hosted", p.MaxRecipientsHosted})
	for _, d := range p.Domains {
		if !dial.ValidHost(strings.TrimPrefix(d, "*.")) {
			report("domains", `domains has %q; write it like "corp.example" or "*.corp.example"`, d)
		}
	}
	if p.NoOAuth != "" {
		return
	}
	for _, u := range []struct {
		key, value string
		needed     bool
	}{
		{"auth_url", p.AuthURL, p.Grant == ""}, {"token_url", p.TokenURL, true},
		{"device_url", p.DeviceURL, false}, {"revoke_url", p.RevokeURL, false},
		{"issuer", p.Issuer, false}, {"userinfo_url", p.UserinfoURL, false},
	} {
		if u.value == "" && !u.needed {
			continue
		}
		if err := checkURL(u.key, u.value); err != nil {
			report(u.key, "%v", err)
		}
	}
	if p.Grant != "" && p.Grant != oauth.ClientCredentials && p.Grant != oauth.JWTBearer {
		report("grant", `grant is %q; use %q or %q, or leave it out if the user consents`, p.Grant, oauth.ClientCredentials, oauth.JWTBearer)
	}
	if p.ConsentDays < 0 {
		report("consent_days", "consent_days must not be negative")
	}
	p.checkAllServers(report)
	if err := checkClientID(p.ClientID); err != nil {
		report("client_id", "%v", err)
	}
	if _, err := p.forTenant(p.Tenant); err != nil {
		report("tenant", "%v", err)
	}
	if p.Hello != "" {
		if err := upstream.CheckHello(p.Hello); err != nil {
			report("hello", "hello: %v", err)
		}
	}
	if !api.IsLoopback(p.RedirectHost) {
		report("redirect_host", `redirect_host is %q; use "127.0.0.1" or "localhost", as registered with the provider`, p.RedirectHost)
	}
	if !strings.HasPrefix(p.RedirectPath, "/") || strings.ContainsAny(p.RedirectPath, "?#") || strings.ContainsFunc(p.RedirectPath, isSpaceOrControl) {
		report("redirect_path", `redirect_path is %q; it must start with "/" and must not have a query`, p.RedirectPath)
	}
}

// sendingLimit is a limit of what an account may send; nil if it is not set.
type sendingLimit struct {
	key   string
	value *int
}

func checkLimits(report func(key, format string, args ...any), limits ...sendingLimit) {
	for _, l := range limits {
		if l.value != nil && (*l.value < 0 || *l.value > maxLimit) {
			report(l.key, "%s is %d; it must be at least 1, or 0 for no limit, and at most %d", l.key, *l.value, maxLimit)
		}
	}
}

// maxLimit is more than any provider allows, and few enough to count.
const maxLimit = 1_000_000_000

func (c Config) accountProblems() []problem {
	var found []problem
	list := c.Catalogue()
	seen := make(map[string]string, len(c.Accounts))
	for i, a := range c.Accounts {
		report := func(key, format string, args ...any) {
			found = append(found, problem{"account", i, key, fmt.Sprintf("account %s: ", a.Address) + fmt.Sprintf(format, args...)})
		}
		if err := CheckAddress(a.Address); err != nil {
			found = append(found, problem{"account", i, "address", fmt.Sprintf(`account %d: address %q %v; write it like address = "me@example.com"`, i+1, a.Address, err)})
			continue
		}
		folded := Fold(a.Address)
		if first, ok := seen[folded]; ok {
			report("address", "there are two accounts with this address (the other one is written %s); remove one", first)
		}
		seen[folded] = a.Address
		if strings.ContainsFunc(a.Login, isSpaceOrControl) {
			report("login", "login %q contains a space or a control character; it must be a user name like me@example.com", a.Login)
		}
		if err := checkClientID(a.ClientID); err != nil {
			report("client_id", "%v", err)
		}
		if a.MaxConnections < 0 {
			report("max_connections", "max_connections is %d; it must be at least 1, or be removed", a.MaxConnections)
		}
		checkLimits(report, sendingLimit{"max_per_minute", a.MaxPerMinute},
			sendingLimit{"max_messages_per_day", a.MaxMessages}, sendingLimit{"max_recipients_per_day", a.MaxRecipients})
		if err := checkProtocols(a.Protocols); err != nil {
			report("protocols", "%v", err)
			continue
		}
		if _, err := list.Resolve(a); err != nil {
			report("provider", "%v", err)
		}
	}
	return found
}

// checkAllServers reports what is wrong with a provider's mail servers. One that is only for reading
// needs no SMTP server.
func (p Provider) checkAllServers(report func(key, format string, args ...any)) {
	for _, protocol := range api.Protocols {
		if address, _ := p.Server(protocol); address == "" && (protocol.Reads() || p.IMAP+p.POP != "") {
			continue
		}
		if err := p.checkServer(protocol); err != nil {
			key, _, _ := strings.Cut(err.Error(), " ")
			report(key, "%v", err)
		}
		if auth := p.Auth(protocol); !slices.Contains([]string{"", "xoauth2", "oauthbearer"}, auth) {
			report(string(protocol)+"_auth", `%s_auth is %q; use "xoauth2" or "oauthbearer", or leave it out if the server announces one of them`, protocol, auth)
		}
	}
}

// checkProtocols returns an error if a list of what an account does has something else in it, or
// something twice.
func checkProtocols(list []api.Protocol) error {
	for i, p := range list {
		if !slices.Contains(api.Protocols, p) {
			return fmt.Errorf(`protocols has %q; use "smtp" to send, and "imap" or "pop" to read`, p)
		}
		if slices.Contains(list[:i], p) {
			return fmt.Errorf("protocols has %q twice; remove one", p)
		}
	}
	return nil
}
