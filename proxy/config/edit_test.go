package config

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/waxseal/waxseal/keystore/safeio/safeiotest"
	"github.com/waxseal/waxseal/proxy/api"
)

func TestAddAccountsCreatesTheFile(t *testing.T) {
	path := filepath.Join(safeiotest.Dir(t), "new folder", "ünï", "config.toml")
	add := []api.Account{
		{Address: "a@gmail.com", Provider: "google"},
		{Address: `b@corp.example`, Provider: "microsoft", Login: `c"\é@corp.example`, ClientID: "id", Tenant: "corp.example", TokenURL: "https://t.example/", SMTP: "s.example:465", MaxConnections: 9},
	}
	if err := AddAccounts(path, nil, add); err != nil {
		t.Fatal(err)
	}
	want := configHead + `[[account]]
address = "a@gmail.com"
provider = "google"

[[account]]
address = "b@corp.example"
provider = "microsoft"
login = "c\"\\é@corp.example"
client_id = "id"
tenant = "corp.example"
token_url = "https://t.example/"
smtp = "s.example:465"
max_connections = 9
`
	if got := readText(t, path); got != want {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
	if c, err := Load(path); err != nil || !reflect.DeepEqual(c.Accounts, add) {
		t.Errorf("Load = %+v, %v", c.Accounts, err)
	}
	if info, err := os.Stat(path); err != nil || runtime.GOOS != "windows" && info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v; want 0600", info.Mode(), err)
	}
}

func TestEditsKeepTheText(t *testing.T) {
	const before = `# My settings.
metrics = "" # off

# ---- accounts ----
[[account]] # the first
address = "a@gmail.com" # mine
# login = "x"

# about b
[[account]]
address = "B@Gmail.com"
login = """
b@gmail.com""" # odd but allowed

# last words`
	for name, test := range map[string]struct {
		edit func(path string) error
		want string
	}{
		"add": {
			func(path string) error { return AddAccounts(path, nil, []api.Account{{Address: "c@gmail.com"}}) },
			before + "\n\n[[account]]\naddress = \"c@gmail.com\"\n",
		},
		"add the same": {
			func(path string) error {
				return AddAccounts(path, nil, []api.Account{{Address: "a@gmail.com"}, {Address: "B@Gmail.com", Login: "b@gmail.com"}})
			},
			before,
		},
		"add another way": {
			func(path string) error {
				return AddAccounts(path, nil, []api.Account{{Address: "b@gmail.com", Provider: "google"}, {Address: "c@gmail.com"}, {Address: "C@gmail.com", SMTP: "x.example:25"}})
			},
			before[:strings.Index(before, "[[account]]\naddress = \"B")] + "[[account]]\naddress = \"b@gmail.com\"\nprovider = \"google\"\n\n# last words\n\n[[account]]\naddress = \"C@gmail.com\"\nsmtp = \"x.example:25\"\n",
		},
		"remove the first": {
			func(path string) error { return RemoveAccount(path, " A@GMAIL.com") },
			strings.Replace(before, "[[account]] # the first\naddress = \"a@gmail.com\" # mine\n# login = \"x\"\n\n", "", 1),
		},
		"remove the last": {
			func(path string) error { return RemoveAccount(path, "b@gmail.com") },
			before[:strings.Index(before, "[[account]]\naddress = \"B")] + "# last words",
		},
		"remove both": {
			func(path string) error {
				return errors.Join(RemoveAccount(path, "a@gmail.com"), RemoveAccount(path, "b@gmail.com"))
			},
			"# My settings.\nmetrics = \"\" # off\n\n# ---- accounts ----\n# about b\n# last words",
		},
	} {
		for _, style := range []string{"unix", "windows"} {
			t.Run(name+"/"+style, func(t *testing.T) {
				dress := func(s string) string { return s }
				if style == "windows" {
					dress = func(s string) string { return "\ufeff" + strings.ReplaceAll(s, "\n", "\r\n") }
				}
				path := writeTestConfig(t, dress(before))
				if err := test.edit(path); err != nil {
					t.Fatal(err)
				}
				if got := readText(t, path); got != dress(test.want) {
					t.Errorf("got:\n%q\nwant:\n%q", got, dress(test.want))
				}
				if left, _ := os.ReadDir(filepath.Dir(path)); len(left) != 1 {
					t.Errorf("files left behind: %v", left)
				}
			})
		}
	}
}

// TestEditsOfUTF16: the file becomes one in UTF-8 that the same editors understand.
func TestEditsOfUTF16(t *testing.T) {
	const before = "# für mich\r\nmetrics = ''\r\n"
	for name, content := range encodings(before) {
		path := writeTestConfig(t, content)
		if err := AddAccounts(path, nil, []api.Account{{Address: "a@gmail.com"}}); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		want := before + "\r\n[[account]]\r\naddress = \"a@gmail.com\"\r\n"
		if name != "UTF-8" {
			want = byteOrderMark + want
		}
		if got := readText(t, path); got != want {
			t.Errorf("%s: got %q, want %q", name, got, want)
		}
	}
	path := writeTestConfig(t, "PK\x03\x04 word/document.")
	if err := AddAccounts(path, nil, []api.Account{{Address: "a@gmail.com"}}); err == nil || !strings.Contains(err.Error(), path+": this is a Word document") {
		t.Errorf("a Word document: %v", err)
	}
}

// A comment right above a header is about what follows it, even if the table before it is
// removed.
func TestRemoveKeepsTheNextOnesComment(t *testing.T) {
	path := writeTestConfig(t, "[[account]]\naddress='a@gmail.com'\n# b's\n[[account]]\naddress='b@gmail.com'\n[[provider]]\nid='google'\n")
	if err := RemoveAccount(path, "a@gmail.com"); err != nil {
		t.Fatal(err)
	}
	if got, want := readText(t, path), "# b's\n[[account]]\naddress='b@gmail.com'\n[[provider]]\nid='google'\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// A file whose notation cannot be edited is written from scratch, and the old text is kept.
func TestEditsOfUnusualNotations(t *testing.T) {
	for name, text := range map[string]string{
		"inline list":  "# mine\nmetrics = ''\naccount = [ { address = 'a@gmail.com' }, { address = 'b@gmail.com' } ]\n[[provider]]\nid = 'google'\nauth_params = { 'a b' = 'c' }\n",
		"single table": "# mine\nmetrics = ''\n[account]\naddress = 'a@gmail.com'\n[[provider]]\nid = 'google'\nauth_params = { 'a b' = 'c' }\n",
	} {
		t.Run(name, func(t *testing.T) {
			path := writeTestConfig(t, text)
			before, err := Load(path)
			if err != nil {
				t.Fatal(err)
			}
			if err := AddAccounts(path, nil, []api.Account{{Address: "c@gmail.com"}}); err != nil {
				t.Fatal(err)
			}
			if err := RemoveAccount(path, "a@gmail.com"); err != nil {
				t.Fatal(err)
			}
			after, err := Load(path)
			if err != nil {
				t.Fatal(err)
			}
			want := before
			want.Accounts = append(before.Accounts[1:], api.Account{Address: "c@gmail.com"})
			if !reflect.DeepEqual(after, want) {
				t.Errorf("got  %+v\nwant %+v", after, want)
			}
			if got := readText(t, path+".bak"); got != text {
				t.Errorf("kept %q", got)
			}
		})
	}
}

func TestEditsRefused(t *testing.T) {
	const good = "[[account]]\naddress = 'a@gmail.com'\n"
	add := func(a api.Account) func(string) error {
		return func(path string) error { return AddAccounts(path, nil, []api.Account{{Address: "ok@gmail.com"}, a}) }
	}
	for name, test := range map[string]struct {
		text string
		edit func(path string) error
		want string
	}{
		"bad address":   {good, add(api.Account{Address: "b"}), `address "b" is not an email address`},
		"bad provider":  {good, add(api.Account{Address: "b@c.d", Provider: "e"}), `provider "e" is not known`},
		"injection":     {good, add(api.Account{Address: "b@gmail.com", Login: "x\"\n[[account]]"}), "control character"},
		"bad file":      {"listen = [", add(api.Account{Address: "b@gmail.com"}), ":1:10: not valid TOML"},
		"unknown key":   {"listn = 1", func(p string) error { return RemoveAccount(p, "b@gmail.com") }, `did you mean "listen"?`},
		"not there":     {good, func(p string) error { return RemoveAccount(p, "b@gmail.com") }, `account b@gmail.com is not in`},
		"wrong already": {good + "provider = 'x'", add(api.Account{Address: "b@gmail.com"}), `provider "x" is not known`},
	} {
		t.Run(name, func(t *testing.T) {
			path := writeTestConfig(t, test.text)
			err := test.edit(path)
			if err == nil || !strings.Contains(err.Error(), test.want) || !strings.Contains(err.Error(), path) {
				t.Errorf("error %v, want %q and the path", err, test.want)
			}
			if got := readText(t, path); got != test.text {
				t.Errorf("the file is now %q", got)
			}
		})
	}
}

func TestRemoveAccountThatIsWrong(t *testing.T) {
	path := writeTestConfig(t, "[[account]]\naddress='a@gmail.com'\nprovider='gone'\n")
	if err := RemoveAccount(path, "a@gmail.com"); err != nil {
		t.Fatal(err)
	}
	if c, err := Load(path); err != nil || len(c.Accounts) != 0 {
		t.Errorf("Load = %+v, %v", c, err)
	}
}

func TestRemoveAccountFromNothing(t *testing.T) {
	path := filepath.Join(safeiotest.Dir(t), "config.toml")
	if err := RemoveAccount(path, "a@gmail.com"); err == nil || !strings.Contains(err.Error(), "is not in") {
		t.Errorf("error %v", err)
	}
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a file was created: %v", err)
	}
}

func TestEditsThatCannotBeWritten(t *testing.T) {
	add := []api.Account{{Address: "a@gmail.com"}}
	check := func(t *testing.T, err error, path string) {
		t.Helper()
		if err == nil || !strings.Contains(err.Error(), path) {
			t.Errorf("error %v, want one that names %s", err, path)
		}
	}
	t.Run("a folder", func(t *testing.T) {
		dir := safeiotest.Dir(t)
		check(t, AddAccounts(dir, nil, add), dir)
	})
	t.Run("below a file", func(t *testing.T) {
		path := filepath.Join(writeTestConfig(t, ""), "config.toml")
		check(t, AddAccounts(path, nil, add), path)
	})
	t.Run("a read-only file", func(t *testing.T) {
		path := writeTestConfig(t, "# mine\n")
		if err := os.Chmod(path, 0o444); err != nil {
			t.Fatal(err)
		}
		err := AddAccounts(path, nil, add)
		check(t, err, path)
		if !errors.Is(err, fs.ErrPermission) || readText(t, path) != "# mine\n" {
			t.Errorf("error %v, text %q", err, readText(t, path))
		}
		if err := os.Chmod(path, 0o600); err != nil { // Windows does not delete read-only files
			t.Fatal(err)
		}
	})
}

func TestEditsKeepModeAndLink(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("WINDOWS: no modes, and links need a privilege")
	}
	path := writeTestConfig(t, "# mine\n")
	if err := os.Chmod(path, 0o640); err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(safeiotest.Dir(t), "link.toml")
	if err := os.Symlink(path, link); err != nil {
		t.Fatal(err)
	}
	if err := AddAccounts(link, nil, []api.Account{{Address: "a@gmail.com"}}); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Lstat(link); err != nil || info.Mode()&fs.ModeSymlink == 0 {
		t.Errorf("the link became %v, %v", info.Mode(), err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o640 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	if !strings.HasPrefix(readText(t, path), "# mine\n\n[[account]]") {
		t.Errorf("text %q", readText(t, path))
	}
}

// Whoever reads while others write finds a complete file, and no edit is lost.
func TestEditsAtOnce(t *testing.T) {
	path := writeTestConfig(t, manyAccounts(30))
	var writers, reader sync.WaitGroup
	done := make(chan struct{})
	reader.Go(func() {
		// On Windows, a reader that never pauses locks the writers out.
		for n := 0; n < 50 || runtime.GOOS != "windows"; n++ {
			select {
			case <-done:
				return
			default:
			}
			if c, err := Load(path); err != nil || len(c.Accounts) < 30 {
				t.Errorf("read %d accounts, %v", len(c.Accounts), err)
				return
			}
		}
	})
	for i := range 8 {
		writers.Go(func() {
			address := fmt.Sprintf("new%d@gmail.com", i)
			for range 3 {
				if err := AddAccounts(path, nil, []api.Account{{Address: address}}); err != nil {
					t.Error(err)
				}
				if err := RemoveAccount(path, address); err != nil {
					t.Error(err)
				}
			}
			if err := AddAccounts(path, nil, []api.Account{{Address: address}}); err != nil {
				t.Error(err)
			}
		})
	}
	writers.Wait()
	close(done)
	reader.Wait()
	if c, err := Load(path); err != nil || len(c.Accounts) != 38 {
		t.Errorf("%d accounts at the end, %v", len(c.Accounts), err)
	}
}

func BenchmarkAddAccounts1000(b *testing.B) {
	c, err := decodeConfig("", []byte(manyAccounts(1000)))
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if err := AddAccounts(filepath.Join(safeiotest.Dir(b), "config.toml"), nil, c.Accounts); err != nil {
			b.Fatal(err)
		}
	}
}

// TestAddTables adds providers together with their accounts, with every field, but does not
// change a provider that the file already has.
func TestAddTables(t *testing.T) {
	const before = "# Mine.\n[[provider]]\nid = \"Own\" # kept\ntoken_url = \"https://own.example/t\"\nauth_url = \"https://own.example/a\"\nsmtp = \"own.example:465\"\n"
	path := writeTestConfig(t, before)
	full := Provider{
		ID: "corp", Name: `Corp "Mail"`, Domains: []string{"corp.example", "*.corp.example"}, AuthURL: "https://corp.example/a", TokenURL: "https://corp.example/t",
		Scopes: []string{"a", "b"}, AuthParams: map[string]string{"prompt": "consent", "a": "b"}, SMTP: "corp.example:587", SMTPTLS: "starttls", MaxConnections: 4, MaxPerMinute: new(0),
	}
	accounts := []api.Account{{Address: "me@corp.example", Provider: "corp", MaxRecipients: new(5), MaxMessages: new(0)}, {Address: "you@own.example", Provider: "own"}}
	for range 2 { // a second time nothing changes
		if err := AddAccounts(path, []Provider{{ID: "own", SMTP: "other.example:25"}, full}, accounts); err != nil {
			t.Fatal(err)
		}
		c, err := Load(path)
		if err != nil || len(c.Providers) != 2 || !reflect.DeepEqual(c.Providers[1], full) || !reflect.DeepEqual(c.Accounts, accounts) {
			t.Errorf("%+v, %v", c, err)
		}
		if text := readText(t, path); !strings.HasPrefix(text, before+"\n[[provider]]\nid = \"corp\"\n") || !strings.Contains(text, "scopes = [\"a\", \"b\"]\nauth_params = { \"a\" = \"b\", \"prompt\" = \"consent\" }\n") {
			t.Errorf("the file:\n%s", text)
		}
	}
}

// FuzzSetKey: changing a setting changes nothing else, or else editConfig notices.
func FuzzSetKey(f *testing.F) {
	for _, seed := range []string{"", "metrics = ''", "# mine\n\n[[account]]\naddress = 'b@x'\n", "listen = [ # ]\n 'x',\n] # two\r\n", "\"metrics\" = \"\"\"\n\"\"\"\n"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		before, err := decodeConfig("config.toml", []byte(text))
		if err != nil {
			return
		}
		changed := setKey(text, "metrics", `"127.0.0.1:1"`)
		after, err := decodeConfig("config.toml", []byte(changed))
		if err != nil {
			return // editConfig then writes the whole file from scratch
		}
		before.Metrics = "127.0.0.1:1"
		if after.Metrics == before.Metrics && !sameConfig(before, after) {
			t.Errorf("%q became %q", text, changed)
		}
	})
}

func TestSetKey(t *testing.T) {
	for name, tc := range map[string]struct{ text, want string }{
		"empty file":     {"", "listen = [\"a\"]\n"},
		"in place":       {"metrics = ''\nlisten   = ['x']   # plain\nkeystore = 'file'\n", "metrics = ''\nlisten   = [\"a\"]   # plain\nkeystore = 'file'\n"},
		"several lines":  {"listen = [ # one\n  'x', # ]\n  'y',\n] # two\nmetrics = ''\n", "listen = [\"a\"] # two\nmetrics = ''\n"},
		"no line end":    {"listen = ['x']", "listen = [\"a\"]"},
		"other case":     {"Listen = ['x']\n", "Listen = [\"a\"]\n"},
		"quoted key":     {"\"listen\" = ['x']\n", "\"listen\" = [\"a\"]\n"},
		"after the rest": {"# mine\nmetrics = '' # off\n# about b\n[[account]]\naddress = 'b@x'\n", "# mine\nmetrics = '' # off\nlisten = [\"a\"]\n# about b\n[[account]]\naddress = 'b@x'\n"},
		"after the head": {"# mine\n\n# about b\n[[account]]\naddress = 'b@x'\n", "# mine\n\nlisten = [\"a\"]\n\n# about b\n[[account]]\naddress = 'b@x'\n"},
		"no head":        {"# about b\n[[account]]\naddress = 'b@x'\n", "listen = [\"a\"]\n\n# about b\n[[account]]\naddress = 'b@x'\n"},
		"not in a table": {"[[provider]]\nid = 'x'\nlisten = 'no'\n", "listen = [\"a\"]\n\n[[provider]]\nid = 'x'\nlisten = 'no'\n"},
		"last, no end":   {"metrics = ''", "metrics = ''\nlisten = [\"a\"]\n"},
	} {
		if got := setKey(tc.text, "listen", `["a"]`); got != tc.want {
			t.Errorf("%s:\n got %q\nwant %q", name, got, tc.want)
		}
	}
}
