//go:build linux

package main_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/waxseal/waxseal/proxy/providertest"
)

// setUp is a person's home folder, in which programs are set up by `waxseal setup`.
type setUp struct {
	*running
	t    *testing.T
	home string
	env  []string
}

// startSetUp starts the program with one account that sends and reads.
func startSetUp(t *testing.T) *setUp {
	t.Helper()
	return startSetUpWith(t, strings.NewReplacer())
}

// onlyTLS leaves out the ports without TLS.
var onlyTLS = strings.NewReplacer(`listen = ["127.0.0.1:0"]`, "listen = []", `listen_imap = ["127.0.0.1:0"]
listen_imap_tls = []`, `listen_imap = []
listen_imap_tls = ["127.0.0.1:0"]`, `listen_pop = ["127.0.0.1:0"]
listen_pop_tls = []`, `listen_pop = []
listen_pop_tls = ["127.0.0.1:0"]`)

// startSetUpWith is startSetUp with a configuration in which something is then replaced.
func startSetUpWith(t *testing.T, replace *strings.Replacer) *setUp {
	t.Helper()
	provider, err := providertest.Start(providertest.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { provider.Close() })
	r := &running{provider: provider, dir: t.TempDir()}
	ca, err := provider.WriteCA(r.dir)
	if err != nil {
		t.Fatal(err)
	}
	config := filepath.Join(r.dir, "config.toml")
	text := strings.Replace(configFor(provider, ca), "listen_tls = []", `listen_tls = ["127.0.0.1:0"]
listen_imap = ["127.0.0.1:0"]
listen_imap_tls = []
listen_pop = ["127.0.0.1:0"]
listen_pop_tls = []`, 1)
	writeFile(t, config, text+fmt.Sprintf("imap = %q\nimap_tls = \"implicit\"\npop = %q\npop_tls = \"implicit\"\n", provider.IMAPAddr, provider.POPAddr))
	r.serve(t, exec.Command("waxseal", "serve", "--config", config, "--keystore", "memory"))
	accounts := filepath.Join(r.dir, "accounts.json")
	writeFile(t, accounts, importFor(t, provider, sender))
	command(t, nil, "waxseal", "account", "import", accounts, "--config", config)
	data := strings.Replace(readFile(t, config), "[[account]]\n", "[[account]]\nprotocols = [\"smtp\", \"imap\", \"pop\"]\n", 1)
	writeFile(t, config, replace.Replace(data))
	command(t, nil, "waxseal", "reload", "--config", config)
	s := &setUp{running: r, t: t, home: t.TempDir()}
	s.env = append(os.Environ(), "HOME="+s.home, "WAXSEAL_CONFIG="+config, "LC_ALL=C.UTF-8", "XDG_CONFIG_HOME="+filepath.Join(s.home, ".config"),
		"GIT_CONFIG_NOSYSTEM=1", "DEAD="+filepath.Join(s.home, "dead.letter"), "MAILRC="+filepath.Join(s.home, ".mailrc"), nodePath)
	return s
}

// run runs a shell command of that person.
func (s *setUp) run(in, script string) (string, error) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), 20*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, "sh", "-ec", script)
	cmd.Env, cmd.Dir, cmd.Stdin, cmd.WaitDelay = s.env, s.home, strings.NewReader(in), time.Second
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// must is run for what may not fail.
func (s *setUp) must(in, script string) string {
	s.t.Helper()
	out, err := s.run(in, script)
	if err != nil {
		s.t.Fatalf("%s: %v\n%s", script, err, out)
	}
	return out
}

// setUpPrograms are what people use after `waxseal setup PROGRAM ADDRESS --write`.
var setUpPrograms = []struct {
	name, needs string
	file        string // below the home folder
	before      string // what is in it
	use         string // sends "Hello!" to you@else.example
	reads       string // prints or stores the message that is in the mailbox
}{
	{name: "msmtp", needs: "msmtp", file: ".msmtprc", before: "# mine\ndefaults\nlogfile ~/log", use: "printf 'Subject: Hello\n\nHello!\n' | msmtp you@else.example"},
	{name: "git", needs: "git", file: ".gitconfig", before: "[user]\n\tname = Me\n\temail = me@elsewhere.example\n[sendemail]\n\tsmtpUser = other\n\tsmtpServer = elsewhere.example\n",
		use: "test -e \"$(git --exec-path)/git-send-email\"; printf 'From: Me <" + sender + ">\nSubject: Hello\n\nHello!\n' > mail; git send-email --quiet --confirm=never --suppress-cc=all --no-validate --to=you@else.example mail"},
	{name: "mutt", needs: "mutt", file: ".muttrc", before: "set sleep_time=0\r\n# no end", use: "echo Hello! | mutt -s Hello you@else.example"},
	{name: "neomutt", needs: "neomutt", file: ".neomuttrc", before: "", use: "mkdir -p Mail; echo Hello! | neomutt -e 'set record=' -s Hello you@else.example"},
	{name: "s-nail", needs: "s-nail", file: ".mailrc", before: "set hold\n", use: "echo Hello! | s-nail -s Hello you@else.example"},
	{name: "mbsync", needs: "mbsync", file: ".mbsyncrc", before: "Expunge None\n\n", reads: "mkdir -p Mail/" + sender + "; mbsync -a && cat Mail/*/INBOX/new/*"},
	{name: "fetchmail", needs: "fetchmail", file: ".fetchmailrc", before: "set no bouncemail\n", reads: "fetchmail --nodetach --all --mda 'cat > got' && cat got"},
}

// TestSetup: a program that `waxseal setup --write` has set up sends or reads through Waxseal, with what
// was in its file before; --undo leaves the file byte for byte as it was, with its mode.
func TestSetup(t *testing.T) {
	t.Parallel()
	plain, tls := startSetUp(t), startSetUpWith(t, onlyTLS)
	for way, s := range map[string]*setUp{"without TLS": plain, "TLS": tls} {
		t.Run(way, func(t *testing.T) { testSetup(t, s) })
	}
}

func testSetup(t *testing.T, s *setUp) {
	s.provider.Deliver(sender, []byte(crlf(header+"Read me!\n")))
	for _, p := range setUpPrograms {
		t.Run(p.name, func(t *testing.T) {
			findTool(t, p.needs, p.needs)
			s.t = t
			file := filepath.Join(s.home, p.file)
			if p.before != "" {
				writeFile(t, file, p.before)
				os.Chmod(file, 0o400|0o200)
			}
			s.must("", "waxseal setup "+p.name+" "+sender+" --write")
			written := readFile(t, file)
			if holds := strings.Contains(written, localPassword); holds != (p.name == "fetchmail") {
				t.Errorf("the file has the password: %v\n%s", holds, written)
			}
			if p.use != "" {
				before := len(s.provider.Messages())
				if out, err := s.run("", p.use); err != nil {
					if p.name == "git" && strings.TrimSpace(out) == "" {
						t.Skip("NOT TESTED: install git-email (make packages)")
					}
					t.Fatalf("%v\n%s\n%s", err, out, written)
				}
				messages := s.provider.Messages()
				if len(messages) != before+1 {
					t.Fatalf("%d messages arrived", len(messages)-before)
				}
				hello(t, messages[before])
			}
			if p.reads != "" {
				if out := s.must("", p.reads); !strings.Contains(out, "Read me!") {
					t.Errorf("read %q", out)
				}
			}
			// Once more changes nothing, and something added meanwhile stays.
			s.must("", "waxseal setup "+p.name+" "+sender+" --write")
			if again := readFile(t, file); again != written {
				t.Errorf("the second time changed the file:\n%s", again)
			}
			s.must("", "waxseal setup "+p.name+" "+strings.ToUpper(sender[:1])+sender[1:]+" --undo")
			if p.before == "" {
				if _, err := os.Stat(file); !os.IsNotExist(err) {
					t.Errorf("the file that Waxseal made is left: %v", err)
				}
				return
			}
			if got := readFile(t, file); got != p.before {
				t.Errorf("after --undo:\n%q, want\n%q", got, p.before)
			}
			if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
				t.Errorf("mode %v, %v", info.Mode(), err)
			}
			if left, _ := filepath.Glob(file + ".*"); len(left) > 0 {
				t.Errorf("left behind: %v", left)
			}
			if out, err := s.run("", "waxseal setup "+p.name+" "+sender+" --undo"); err == nil {
				t.Errorf("undone twice: %s", out)
			}
		})
	}
}

// setUpScripts are programs whose lines are printed, and used as they are printed.
var setUpScripts = []struct{ name, needs, use string }{
	{"python", "python3", "waxseal setup python " + sender + " > hello.py; WAXSEAL_PASSWORD=" + localPassword + " python3 hello.py"},
	{"nodemailer", "node", "node -e 'require(\"nodemailer\")' || exit 77; waxseal setup nodemailer " + sender + " > hello.js; WAXSEAL_PASSWORD=" + localPassword + " node hello.js"},
	{"swaks", "swaks", "waxseal setup swaks " + sender + " > hello.sh; WAXSEAL_PASSWORD=" + localPassword + " sh hello.sh"},
	{"php", "php", "waxseal setup php " + sender + " > hello.ini; php -n -c hello.ini -r 'exit(mail(\"you@else.example\", \"Hello\", \"Hello!\", \"From: " + sender + "\") ? 0 : 1);'"},
}

// setUpReaders are programs that say what they have read with the lines as printed; of two that are not
// here, PHP says whether it can read their lines.
var setUpReaders = []struct{ name, needs, use, says string }{
	{"python-imap", "python3", "waxseal setup python-imap " + sender + " > read.py; WAXSEAL_PASSWORD=" + localPassword + " python3 read.py", "Subject: From a real client"},
	{"python-pop", "python3", "waxseal setup python-pop " + sender + " > read.py; WAXSEAL_PASSWORD=" + localPassword + " python3 read.py", " messages, "},
	{"wordpress", "php", "{ echo '<?php'; waxseal setup wordpress " + sender + "; echo 'echo WPMS_SMTP_USER;'; } > wp.php; php -n wp.php", sender},
	{"nextcloud", "php", "{ echo '<?php $c = array('; waxseal setup nextcloud " + sender + "; echo '); echo $c[\"mail_smtpname\"];'; } > nc.php; php -n nc.php", sender},
	{"getmail", "getmail", "mkdir -p Mail/new Mail/cur Mail/tmp; waxseal setup getmail " + sender + " > printed; " +
		`sed -e 's/^type = Maildir/type = MDA_external/' -e 's|^path = .*|path = /bin/sh\narguments = ("-c", "cat >> got")\nallow_root_commands = true|' printed > getmailrc; ` + // its Maildir refuses root
		"getmail --getmaildir=. --rcfile=getmailrc; cat got", "Read me!"},
}

// TestSetupPrints: lines that are only printed work as they are.
func TestSetupPrints(t *testing.T) {
	t.Parallel()
	plain, tls := startSetUp(t), startSetUpWith(t, onlyTLS)
	for way, s := range map[string]*setUp{"without TLS": plain, "TLS": tls} {
		t.Run(way, func(t *testing.T) { testSetupPrints(t, s) })
	}
}

func testSetupPrints(t *testing.T, s *setUp) {
	for _, p := range setUpScripts {
		t.Run(p.name, func(t *testing.T) {
			findTool(t, p.needs, p.needs)
			s.t = t
			before := len(s.provider.Messages())
			out, err := s.run("", p.use)
			if exit, ok := err.(*exec.ExitError); ok && exit.ExitCode() == 77 {
				t.Skipf("NOT TESTED: install %s (make packages)\n%s", p.name, out)
			}
			if err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			messages := s.provider.Messages()
			if len(messages) != before+1 {
				t.Fatalf("%d messages arrived", len(messages)-before)
			}
			hello(t, messages[before])
		})
	}
	s.provider.Deliver(sender, []byte(crlf(header+"Read me!\n")))
	for _, p := range setUpReaders {
		t.Run(p.name, func(t *testing.T) {
			findTool(t, p.needs, p.needs)
			s.t = t
			if out := s.must("", p.use); !strings.Contains(out, p.says) {
				t.Errorf("read %q", out)
			}
		})
	}
}

// TestSetupKeepsThePasswordSafe: a file that others can read gets no password.
func TestSetupKeepsThePasswordSafe(t *testing.T) {
	s := startSetUp(t)
	file := filepath.Join(s.home, ".fetchmailrc")
	writeFile(t, file, "set no bouncemail\n")
	os.Chmod(file, 0o644)
	if out, err := s.run("", "waxseal setup fetchmail "+sender+" --write"); err == nil || !strings.Contains(out, "hint: run chmod 600 ") {
		t.Errorf("%v\n%s", err, out)
	}
	if got := readFile(t, file); got != "set no bouncemail\n" {
		t.Errorf("the file is now %q", got)
	}
}

// TestSetupThunderbird: the servers are added to the profiles that Thunderbird has used, while it is
// closed, and taken out again. Thunderbird itself does not run here.
func TestSetupThunderbird(t *testing.T) {
	s := startSetUp(t)
	folder := filepath.Join(s.home, ".thunderbird")
	profile, elsewhere := filepath.Join(folder, "abc.default"), filepath.Join(t.TempDir(), "mine")
	for _, dir := range []string{profile, elsewhere, filepath.Join(folder, "unused.default")} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	writeFile(t, filepath.Join(folder, "profiles.ini"), "[Install4F96D1932A9F858E]\nDefault=abc.default\n\n[Profile0]\nName=default\nIsRelative=1\nPath=abc.default\n\n"+
		"[Profile1]\nName=mine\nIsRelative=0\nPath="+elsewhere+"\n\n[Profile2]\nName=unused\nIsRelative=1\nPath=unused.default\n\n[General]\nVersion=2\n")
	const before = "// Mozilla User Preferences\n\nuser_pref(\"mail.smtpservers\", \"smtp1\");\nuser_pref(\"mail.smtpserver.smtp1.hostname\", \"smtp.corp.example\");\n"
	for _, dir := range []string{profile, elsewhere} {
		writeFile(t, filepath.Join(dir, "prefs.js"), before)
	}

	lock := filepath.Join(profile, "lock")
	if err := os.Symlink(fmt.Sprintf("127.0.1.1:+%d", os.Getpid()), lock); err != nil {
		t.Fatal(err)
	}
	if out, err := s.run("", "waxseal setup thunderbird "+sender+" --write"); err == nil || !strings.Contains(out, "hint: close Thunderbird") {
		t.Errorf("while Thunderbird runs: %v\n%s", err, out)
	}
	os.Remove(lock)

	s.must("", "waxseal setup thunderbird "+sender+" --write")
	s.must("", "waxseal setup thunderbird "+sender+" --write")
	for _, dir := range []string{profile, elsewhere} {
		got := readFile(t, filepath.Join(dir, "prefs.js"))
		if !strings.Contains(got, `"mail.smtpservers", "smtp1,smtp2"`) || strings.Count(got, ".userName\"") != 1 || strings.Contains(got, localPassword) {
			t.Errorf("%s: %s", dir, got)
		}
	}
	s.must("", "waxseal setup thunderbird "+sender+" --undo")
	for _, dir := range []string{profile, elsewhere} {
		if got := readFile(t, filepath.Join(dir, "prefs.js")); got != before {
			t.Errorf("%s after --undo: %s", dir, got)
		}
		if left, _ := filepath.Glob(filepath.Join(dir, "prefs.js.*")); len(left) > 0 {
			t.Errorf("left behind: %v", left)
		}
	}
}

func readFile(t *testing.T, file string) string {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}
