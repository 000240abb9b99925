package programs

import (
	"strings"
	"testing"
)

const someone = `// Mozilla User Preferences

user_pref("app.update.lastUpdateTime", 1764460800);
user_pref("mail.account.account1.identities", "id1");
user_pref("mail.account.account1.server", "server1");
user_pref("mail.account.account2.server", "server2");
user_pref("mail.account.lastKey", 2);
user_pref("mail.accountmanager.accounts", "account1,account2");
user_pref("mail.accountmanager.defaultaccount", "account1");
user_pref("mail.identity.id1.fullName", "Me \"the\" one");
user_pref("mail.identity.id1.smtpServer", "smtp1");
user_pref("mail.identity.id1.useremail", "ME@corp.example");
user_pref("mail.server.server1.hostname", "imap.corp.example");
user_pref("mail.server.server1.type", "imap");
user_pref("mail.server.server2.type", "none");
user_pref("mail.smtpserver.smtp1.hostname", "smtp.corp.example");
user_pref("mail.smtpservers", "smtp1");
`

func TestThunderbirdReads(t *testing.T) {
	v := everything("me@corp.example")["none"]
	for _, before := range []string{someone, "", strings.TrimSuffix(someone, "\n")} {
		after := Thunderbird(before, v)
		if again := Thunderbird(after, v); again != after {
			t.Error("the second time adds more")
		}
		if WithoutThunderbird(after, before, after) != before {
			t.Error("it is not as before")
		}
	}
	after := Thunderbird(someone, v)
	for _, want := range []string{
		`"mail.accountmanager.accounts", "account1,account2,account3"`, `"mail.account.lastKey", 3`, `"mail.account.account3.server", "server3"`,
		`"mail.server.server3.type", "imap"`, `"mail.server.server3.port", 1143`, `"mail.server.server3.socketType", 0`,
		`"mail.identity.id2.smtpServer", "smtp2"`, `"mail.smtpservers", "smtp1,smtp2"`, `"mail.smtpserver.smtp2.port", 1587`,
		`"mail.identity.id1.smtpServer", "smtp1"`,
	} {
		if !strings.Contains(after, "user_pref("+want+");\n") {
			t.Errorf("no %s in\n%s", want, after)
		}
	}
	// Thunderbird has run meanwhile: it has added to the account, and put things in another order.
	ran := strings.Replace(after, "user_pref(\"mail.account.account1.", "user_pref(\"mail.server.server3.directory-rel\", \"[ProfD]ImapMail/x\");\nuser_pref(\"a.new\", true);\nuser_pref(\"mail.account.account1.", 1)
	rest := WithoutThunderbird(ran, someone, after)
	for _, gone := range []string{"server3", "account3", "smtp2", "id2"} {
		if strings.Contains(rest, gone) {
			t.Errorf("%s is left in\n%s", gone, rest)
		}
	}
	for _, kept := range []string{"a.new", "account1,account2\"", "\"mail.smtpservers\", \"smtp1\""} {
		if !strings.Contains(rest, kept) {
			t.Errorf("%s is gone from\n%s", kept, rest)
		}
	}
}

// An account that only sends: the identity that has the address uses the new server, and its old one
// again afterwards.
func TestThunderbirdSends(t *testing.T) {
	v := everything("me@corp.example")["tls"]
	v.IMAP, v.POP = nil, nil
	after := Thunderbird(someone, v)
	for _, want := range []string{`"mail.identity.id1.smtpServer", "smtp2"`, `"mail.smtpserver.smtp2.try_ssl", 3`, `"mail.accountmanager.accounts", "account1,account2"`} {
		if !strings.Contains(after, "user_pref("+want+");\n") {
			t.Errorf("no %s in\n%s", want, after)
		}
	}
	if rest := WithoutThunderbird(after+"user_pref(\"a.new\", true);\n", someone, after); !strings.Contains(rest, `id1.smtpServer", "smtp1"`) || strings.Contains(rest, "smtp2") {
		t.Errorf("afterwards:\n%s", rest)
	}
}
