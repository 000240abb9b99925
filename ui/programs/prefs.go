package programs

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// prefs is Thunderbird's prefs.js: a line user_pref("name", value); for each setting. Thunderbird
// writes it anew when it ends, in an order and with comments of its own.
type prefs struct {
	lines []string // with their ends
}

var prefLine = regexp.MustCompile(`^user_pref\("([^"]+)", (.*)\);\s*$`)

func readPrefs(text string) *prefs {
	return &prefs{slices.Collect(strings.Lines(text))}
}

func (p *prefs) String() string { return strings.Join(p.lines, "") }

func (p *prefs) find(name string) (at int, value string) {
	for i, line := range p.lines {
		if m := prefLine.FindStringSubmatch(line); m != nil && m[1] == name {
			return i, m[2]
		}
	}
	return -1, ""
}

// text is the value of a setting that is a text.
func (p *prefs) text(name string) string {
	_, value := p.find(name)
	if s, err := strconv.Unquote(value); err == nil {
		return s
	}
	return ""
}

// set sets a text, number or truth.
func (p *prefs) set(name string, value any) {
	line := fmt.Sprintf("user_pref(%q, %v);\n", name, value)
	if s, ok := value.(string); ok {
		line = fmt.Sprintf("user_pref(%q, %s);\n", name, inQuotes(s))
	}
	if at, _ := p.find(name); at >= 0 {
		p.lines[at] = line
		return
	}
	if n := len(p.lines); n > 0 && !strings.HasSuffix(p.lines[n-1], "\n") {
		p.lines[n-1] += "\n"
	}
	p.lines = append(p.lines, line)
}

// drop removes the settings whose names begin with a prefix.
func (p *prefs) drop(prefix string) {
	p.lines = slices.DeleteFunc(p.lines, func(line string) bool {
		m := prefLine.FindStringSubmatch(line)
		return m != nil && strings.HasPrefix(m[1], prefix)
	})
}

// list is a setting that is a list of names.
func (p *prefs) list(name string) []string {
	return slices.DeleteFunc(strings.Split(p.text(name), ","), func(s string) bool { return s == "" })
}

// free is the first name with a prefix and a number that no setting below root uses.
func (p *prefs) free(root, prefix string) (string, int) {
	for n := 1; ; n++ {
		name := prefix + strconv.Itoa(n)
		used := slices.ContainsFunc(p.lines, func(line string) bool {
			m := prefLine.FindStringSubmatch(line)
			return m != nil && strings.HasPrefix(m[1], root+name+".")
		})
		if !used {
			return name, n
		}
	}
}

// mozillaSecurity are the values of try_ssl and socketType (nsMsgSocketType), and mozillaPassword is
// the authentication method "password" for both of its names.
var mozillaSecurity = map[string]int{"none": 0, "starttls": 2, "tls": 3}

const mozillaPassword = 3

// Thunderbird adds an account's servers to prefs.js: the SMTP server, which an identity with the address
// then uses, and an account of its own for reading if there is none for the address at that server. It
// changes nothing that is there already.
func Thunderbird(text string, v Values) string {
	p := readPrefs(text)
	smtp := ""
	if v.SMTP != nil {
		smtp = p.addSMTP(v)
	}
	if in := v.Reading(); in != nil {
		p.addAccount(v, in, smtp)
	} else if smtp != "" {
		for _, identity := range p.identities(v.User) {
			p.set("mail.identity."+identity+".smtpServer", smtp)
		}
	}
	return p.String()
}

// identities are the identities with an address.
func (p *prefs) identities(address string) (all []string) {
	for _, line := range p.lines {
		m := prefLine.FindStringSubmatch(line)
		if m == nil {
			continue
		}
		rest, ok := strings.CutPrefix(m[1], "mail.identity.")
		id, key, _ := strings.Cut(rest, ".")
		if ok && key == "useremail" && strings.EqualFold(p.text(m[1]), address) {
			all = append(all, id)
		}
	}
	return all
}

// smtpOf is the SMTP server of Waxseal that is there already for an address, "" if there is none.
func (p *prefs) smtpOf(v Values) string {
	for _, id := range p.list("mail.smtpservers") {
		at := "mail.smtpserver." + id + "."
		_, port := p.find(at + "port")
		if p.text(at+"username") == v.User && p.text(at+"hostname") == v.SMTP.Host && port == strconv.Itoa(v.SMTP.Port) {
			return id
		}
	}
	return ""
}

func (p *prefs) addSMTP(v Values) string {
	if id := p.smtpOf(v); id != "" {
		return id
	}
	id, _ := p.free("mail.smtpserver.", "smtp")
	at := "mail.smtpserver." + id + "."
	p.set(at+"authMethod", mozillaPassword)
	p.set(at+"description", v.User+" (Waxseal)")
	p.set(at+"hostname", v.SMTP.Host)
	p.set(at+"port", v.SMTP.Port)
	p.set(at+"try_ssl", mozillaSecurity[v.SMTP.Security])
	p.set(at+"username", v.User)
	p.set("mail.smtpservers", strings.Join(append(p.list("mail.smtpservers"), id), ","))
	return id
}

// serverOf is the server for reading of Waxseal that is there already for an address.
func (p *prefs) serverOf(v Values, in *Server) string {
	for _, account := range p.list("mail.accountmanager.accounts") {
		id := p.text("mail.account." + account + ".server")
		at := "mail.server." + id + "."
		_, port := p.find(at + "port")
		if id != "" && p.text(at+"userName") == v.User && p.text(at+"hostname") == in.Host && port == strconv.Itoa(in.Port) {
			return id
		}
	}
	return ""
}

func (p *prefs) addAccount(v Values, in *Server, smtp string) {
	if p.serverOf(v, in) != "" {
		return
	}
	server, _ := p.free("mail.server.", "server")
	identity, _ := p.free("mail.identity.", "id")
	account, n := p.free("mail.account.", "account")
	at := "mail.server." + server + "."
	p.set(at+"authMethod", mozillaPassword)
	p.set(at+"check_new_mail", true)
	p.set(at+"hostname", in.Host)
	p.set(at+"login_at_startup", true)
	p.set(at+"name", v.User+" (Waxseal)")
	p.set(at+"port", in.Port)
	p.set(at+"socketType", mozillaSecurity[in.Security])
	p.set(at+"type", strings.ToLower(in.Name()))
	p.set(at+"userName", v.User)
	if in.Name() == "POP3" {
		p.set(at+"leave_on_server", true)
	}
	at = "mail.identity." + identity + "."
	p.set(at+"fullName", v.Local())
	p.set(at+"useremail", v.User)
	p.set(at+"valid", true)
	if smtp != "" {
		p.set(at+"smtpServer", smtp)
	}
	p.set("mail.account."+account+".identities", identity)
	p.set("mail.account."+account+".server", server)
	p.set("mail.accountmanager.accounts", strings.Join(append(p.list("mail.accountmanager.accounts"), account), ","))
	if _, last := p.find("mail.account.lastKey"); last != "" {
		if key, err := strconv.Atoi(last); err == nil && key < n {
			p.set("mail.account.lastKey", n)
		}
	}
}

// WithoutThunderbird takes out of prefs.js what Thunderbird added, given the file before and after that.
// If the file is as it was after it, the one before comes back byte for byte; else everything else that
// has changed since stays.
func WithoutThunderbird(text, before, after string) string {
	if text == after {
		return before
	}
	p, old, added := readPrefs(text), readPrefs(before), readPrefs(after)
	for _, account := range p.newIn("mail.accountmanager.accounts", old, added) {
		for _, identity := range added.list("mail.account." + account + ".identities") {
			p.drop("mail.identity." + identity + ".")
		}
		p.drop("mail.server." + added.text("mail.account."+account+".server") + ".")
		p.drop("mail.account." + account + ".")
	}
	for _, id := range p.newIn("mail.smtpservers", old, added) {
		for _, identity := range p.identities(added.text("mail.smtpserver." + id + ".username")) {
			name := "mail.identity." + identity + ".smtpServer"
			switch was := old.text(name); {
			case p.text(name) != id:
			case was == "":
				p.drop(name)
			default:
				p.set(name, was)
			}
		}
		p.drop("mail.smtpserver." + id + ".")
	}
	return p.String()
}

// newIn takes the names out of a list that were added to it, and returns them.
func (p *prefs) newIn(name string, old, added *prefs) (all []string) {
	was := old.list(name)
	for _, one := range added.list(name) {
		if !slices.Contains(was, one) {
			all = append(all, one)
			p.setList(name, one)
		}
	}
	return all
}

// setList takes a name out of a list, and removes a list that becomes empty.
func (p *prefs) setList(name, without string) {
	list := slices.DeleteFunc(p.list(name), func(s string) bool { return s == without })
	if len(list) == 0 {
		p.drop(name)
		return
	}
	p.set(name, strings.Join(list, ","))
}
