package programs

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/waxseal/waxseal/proxy/api"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// everything is an account that sends and reads, in each way in which a server may be reached.
func everything(user string) map[string]Values {
	settings := func(host string, tls bool) api.MailSettings {
		m := api.MailSettings{User: user, Password: "secret"}
		for i, p := range api.Protocols {
			port := []int{1587, 1143, 1110}[i]
			if tls {
				port = []int{465, 993, 995}[i]
			}
			m.Servers = append(m.Servers, api.MailServer{Protocol: p, Host: host, Port: port, TLS: tls})
		}
		return m
	}
	all := map[string]Values{}
	for name, m := range map[string]api.MailSettings{
		"none": settings("127.0.0.1", false), "tls here": settings("127.0.0.1", true),
		"tls": settings("mail.office.example", true), "starttls": settings("mail.office.example", false),
	} {
		all[name], _ = New(m, "/home/me/localhost.crt", false)
	}
	return all
}

// TestGolden shows all that is printed for each program.
func TestGolden(t *testing.T) {
	for _, p := range All() {
		var out strings.Builder
		for _, way := range []string{"none", "tls here", "tls", "starttls"} {
			v := everything("me@corp.example")[way]
			v.Executable = "/usr/bin/waxseal"
			lines, err := p.Lines(v)
			if err != nil {
				t.Fatal(err)
			}
			out.WriteString("=== " + way + "\n" + lines)
		}
		file := filepath.Join("testdata", "golden", p.Name)
		if *update {
			if err := os.WriteFile(file, []byte(out.String()), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(file)
		if err != nil || string(want) != out.String() {
			t.Errorf("%s: %v; go test ./ui/programs -update writes it anew\n%s", p.Name, err, out.String())
		}
	}
}

// TestEachProgram: what each template says of itself is complete, and no lines have the password unless
// they are given it.
func TestEachProgram(t *testing.T) {
	if len(All()) < 30 {
		t.Errorf("%d programs", len(All()))
	}
	for _, p := range All() {
		if p.Title == "" || p.Where == "" || !strings.HasSuffix(p.Where, ".") || len(p.Needs) == 0 || p.Comment != "" && len(p.Files[0].Paths) == 0 {
			t.Errorf("%+v", p)
		}
		for way, v := range everything("me@corp.example") {
			lines, err := p.Lines(v)
			if err != nil || strings.Contains(lines, "<no value>") || strings.Contains(lines, "secret") {
				t.Errorf("%s, %s: %v\n%s", p.Name, way, err, lines)
			}
			if way == "none" && strings.Contains(lines, "localhost.crt") {
				t.Errorf("%s names a certificate that no connection needs:\n%s", p.Name, lines)
			}
		}
		if _, err := p.Lines(Values{User: "me@corp.example"}); err == nil {
			t.Errorf("%s is set up for an account that does nothing", p.Name)
		}
	}
}

// TestQuoting: nothing that an address holds becomes a command of the shell, or a line of the file.
func TestQuoting(t *testing.T) {
	const odd = "o'brien$(reboot);#\n@x.example"
	for name, want := range map[string][]string{
		"swaks":      {`--auth-user 'o'\''brien$(reboot);#@x.example' --auth-password "$WAXSEAL_PASSWORD"`},
		"python":     {`s.login("o'brien$(reboot);#@x.example", os`},
		"wordpress":  {`define( 'WPMS_SMTP_USER', 'o\'brien$(reboot);#@x.example' );`},
		"nextcloud":  {`'mail_from_address' => 'o\'brien$(reboot);#',`, `'mail_domain' => 'x.example',`},
		"gitea":      {"USER = `o'brien$(reboot);#@x.example`"},
		"msmtp":      {`passwordeval "waxseal account password 'o'\\''brien$(reboot);#@x.example' --only"`},
		"getmail":    {`password_command = ("waxseal", "account", "password", "o'brien$(reboot);#@x.example", "--only")`},
		"powershell": {`'o''brien$(reboot);#@x.example'`},
		"apple-mail": {`<string>o&#39;brien$(reboot);#@x.example</string>`},
		"mutt":       {`o%27brien$%28reboot%29%3B%23%40x.example@127.0.0.1:1587`},
	} {
		p, ok := Find(name)
		if !ok {
			t.Fatalf("there is no %s", name)
		}
		lines, err := p.Lines(everything(odd)["none"])
		if err != nil {
			t.Fatal(err)
		}
		for _, w := range want {
			if !strings.Contains(lines, w) {
				t.Errorf("%s: %q is not in\n%s", name, w, lines)
			}
		}
	}
}

// TestNetwork: a program on another computer is given a server that it can reach.
func TestNetwork(t *testing.T) {
	here := []api.MailServer{{Protocol: api.SMTP, Host: "127.0.0.1", Port: 1587}, {Protocol: api.SMTP, Host: "127.0.0.1", Port: 1465, TLS: true}}
	both := append(here, api.MailServer{Protocol: api.SMTP, Host: "mail.office.example", Port: 587}, api.MailServer{Protocol: api.SMTP, Host: "mail.office.example", Port: 465, TLS: true})
	for _, tc := range []struct {
		servers   []api.MailServer
		network   bool
		want      string
		elsewhere bool
	}{
		{here, false, "127.0.0.1:1587", false}, {here, true, "127.0.0.1:1587", true},
		{both, false, "127.0.0.1:1587", false}, {both, true, "mail.office.example:465", false},
		{both[2:], false, "mail.office.example:465", false}, {here[1:], false, "localhost:1465", false},
	} {
		v, elsewhere := New(api.MailSettings{Servers: tc.servers}, "", tc.network)
		if v.SMTP.Address() != tc.want || elsewhere != tc.elsewhere {
			t.Errorf("%v, network %v: %s, %v; want %s, %v", tc.servers, tc.network, v.SMTP.Address(), elsewhere, tc.want, tc.elsewhere)
		}
	}
}
