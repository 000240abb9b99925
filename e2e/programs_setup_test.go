//go:build e2e

package e2e

import (
	"net"
	"path/filepath"
)

// programs are those that docs/clients.md lists.
var programs = []program{
	{name: "mbsync", command: "mbsync", packages: "isync", protocols: "imap", setup: mbsync},
	{name: "getmail", command: "getmail", packages: "getmail6", protocols: "pop", only: clear + implicit, setup: getmail},
	{name: "fetchmail", command: "fetchmail", protocols: "imap pop", setup: fetchmail},
	{name: "curl", command: "curl", protocols: "imap pop", setup: curl},
	{name: "imaplib, poplib", command: "python3", protocols: "imap pop", setup: python},
	{name: "mutt", command: "mutt", protocols: "imap pop", setup: mutt},
	{name: "neomutt", command: "neomutt", protocols: "imap pop", setup: mutt},
	{name: "offlineimap", command: "offlineimap", packages: "offlineimap3", protocols: "imap", setup: offlineimap},
	{name: "mpop", command: "mpop", protocols: "pop", setup: mpop},
	{name: "fdm", command: "fdm", protocols: "imap pop", setup: fdm},
	{name: "interimap", command: "interimap", protocols: "imap", setup: interimap},
	{name: "imapflow", command: "node", parts: `test -d "$MODULES/node_modules/imapflow"`, protocols: "imap", setup: node},
	{name: "node-pop3", command: "node", parts: `test -d "$MODULES/node_modules/node-pop3"`, protocols: "pop", only: clear + implicit, setup: node},
}

// mbsync adds a header of its own, X-TUID.
func mbsync(a access) string {
	a.makeDirs("out", "state")
	a.writeIn("mbsyncrc", `IMAPAccount account
Host {host}
Port {port}
User {user}
Pass {password}
SSLType `+a.pick("None", "STARTTLS", "IMAPS")+`
CertificateFile {ca}

IMAPStore far
Account account

MaildirStore near
Path {out}/
Inbox {out}/INBOX
SubFolders Verbatim

Channel all
Far :far:
Near :near:
Patterns *
Create Near
Sync Pull
SyncState {dir}/state/
`)
	return "mbsync -c mbsyncrc all && find out -type f -path '*/[cn]*/*' -exec env LC_ALL=C sed -i '/^X-TUID: /d' {} +"
}

func offlineimap(a access) string {
	a.makeDirs("out")
	a.writeIn("offlineimaprc", `[general]
accounts = account
metadata = {dir}/state
ui = basic
[Account account]
localrepository = near
remoterepository = far
[Repository near]
type = Maildir
localfolders = {out}
[Repository far]
type = IMAP
remotehost = {host}
remoteport = {port}
remoteuser = {user}
remotepass = {password}
sslcacertfile = {ca}
`+a.pick("ssl = no\nstarttls = no\n", "ssl = no\nstarttls = yes\n", "ssl = yes\n"))
	return "offlineimap -o -c offlineimaprc"
}

// getmail does not write to a maildir as root.
func getmail(a access) string {
	a.keepScript("cat")
	kind := map[string]string{"imap": "SimpleIMAP", "pop": "SimplePOP3"}[a.protocol] + a.pick("", "", "SSL") + "Retriever"
	mailboxes := map[string]string{"imap": "mailboxes = ALL\n"}[a.protocol]
	a.writeIn("getmailrc", `[retriever]
type = `+kind+`
server = {host}
port = {port}
username = {user}
password = {password}
`+mailboxes+a.pick("", "", "ca_certs = {ca}\n")+`[destination]
type = MDA_external
path = /bin/sh
arguments = ("{dir}/keep",)
allow_root_commands = true
[options]
received = false
delivered_to = false
delete = false
`)
	return "getmail --getmaildir . --rcfile getmailrc"
}

// keepScript writes a script that keeps a message from its standard input, after a filter.
func (a access) keepScript(filter string) {
	a.makeDirs("out/new")
	a.writeIn("keep", "LC_ALL=C exec "+filter+" >$(mktemp {out}/new/XXXXXX)\n")
}

// fetchmail uses STARTTLS wherever it is offered unless it is told not to. Version 6.4 breaks lines of
// more than 8 KiB and puts a NUL and a random byte there; the byte is left out.
func fetchmail(a access) string {
	a.keepScript(`sed 's/\x00.$/\x00/'`)
	folders := map[string]string{"imap": " folder INBOX,Archive"}[a.protocol]
	a.writeIn("fetchmailrc", `set invisible
poll {host} protocol {PROTOCOL}`+map[string]string{"pop": "3"}[a.protocol]+` port {port} auth password
  user "{user}" password "{password}"`+folders+`
  `+a.pick("sslproto ''", "sslproto TLS1.2+ sslcertck sslcertfile {ca}", "ssl sslcertck sslcertfile {ca}")+`
  no rewrite keep fetchall mda "sh {dir}/keep"
`)
	return "fetchmail --fetchmailrc fetchmailrc --pidfile pid"
}

// curl marks what it fetches as seen.
func curl(a access) string {
	a.makeDirs("out")
	url := a.fill(map[string]string{"imap": "imap", "pop": "pop3"}[a.protocol] + a.pick("", "", "s") + "://{host}:{port}/")
	run := a.fill("curl --silent --show-error --user '{user}:{password}' " + a.pick("", "--ssl-reqd --cacert {ca} ", "--cacert {ca} "))
	if a.protocol == "pop" {
		return "set -e; last=$(" + run + url + " | tail -n 1 | cut -d ' ' -f 1); " + run + "'" + url + "'[1-$last] --output 'out/#1'"
	}
	return "set -e; for box in INBOX Archive; do mkdir out/$box; last=$(" + run + url + "$box --request 'UID SEARCH ALL' | tr -d '\\r' | awk '{ print $NF }'); " +
		run + "'" + url + "'$box';UID='[1-$last] --output out/$box/'#1'; done"
}

func python(a access) string {
	return a.script("python3", "fetch.py")
}

func node(a access) string {
	return a.script("node", "fetch.mjs")
}

// script runs a script in testdata/programs.
func (a access) script(interpreter, name string) string {
	path, err := filepath.Abs("testdata/programs/" + name)
	if err != nil {
		panic(err)
	}
	return a.fill(interpreter + " '" + path + "' {protocol} {host} {port} " + a.security + " {user} {password} {out}")
}

// mutt copies all messages to a maildir. It wants a terminal.
func mutt(a access) string {
	a.makeMaildir("out")
	url := a.fill(a.protocol + a.pick("", "", "s") + "://{host}:{port}/" + map[string]string{"imap": "INBOX"}[a.protocol])
	a.writeIn("muttrc", `set imap_user="{user}" imap_pass="{password}" pop_user="{user}" pop_pass="{password}"
set ssl_starttls=`+a.pick("no", "yes", "no")+` ssl_force_tls=`+a.pick("no", "yes", "yes")+` certificate_file="{ca}"
set mbox_type=Maildir confirmappend=no confirmcreate=no copy=no move=no delete=no quit=yes wait_key=no sleep_time=0 mark_old=no
set pop_delete=no pop_reconnect=no resume_draft_files=no folder="{dir}" record="" postponed="" ssl_ca_certificates_file="/etc/ssl/certs/ca-certificates.crt"
push "<tag-pattern>~A<enter><tag-prefix><copy-message><kill-line>{out}<enter><exit>"
`)
	return "script --quiet --return --echo never --command '$PROGRAM -n -F muttrc -f " + url + "' typescript"
}

func mpop(a access) string {
	a.makeMaildir("out")
	a.writeIn("mpoprc", `account all
host {host}
port {port}
user {user}
password {password}
auth user
tls `+a.pick("off", "on", "on")+`
tls_starttls `+a.pick("on", "on", "off")+`
tls_trust_file {ca}
keep on
received_header off
uidls_file {dir}/uidls
delivery maildir {out}
`)
	return "mpop --file=mpoprc --quiet all"
}

// fdm does not take the certificate from SSL_CERT_FILE, so it does not check it.
func fdm(a access) string {
	a.makeMaildir("out")
	kind := map[string]string{"imap": "imap", "pop": "pop3"}[a.protocol] + a.pick("", "", "s")
	folder := map[string]string{"imap": ` folders { "INBOX" "Archive" }`}[a.protocol]
	a.writeIn("fdm.conf", `set no-received
set default-user "$USER"
action "keep" maildir "{out}"
account "all" `+kind+` server "{host}" port {port} user "{user}" pass "{password}"`+folder+a.pick("", " starttls", "")+` keep
match all action "keep"
`)
	return "USER=$(id -un); sed -i \"s/\\$USER/$USER/\" fdm.conf; fdm -f fdm.conf fetch"
}

// interimap copies to another server, with QRESYNC; what is there is saved.
func interimap(a access) string {
	a.makeDirs("data")
	copied := "copy-" + filepath.Base(filepath.Dir(a.dir)) + filepath.Base(a.dir) + "@mail.test"
	host, port, _ := net.SplitHostPort(peers.direct.imap)
	a.writeIn("interimaprc", `database = {dir}/db
[local]
type = imap
host = `+host+`
port = `+port+`
username = `+copied+`
password = `+directPassword+`
STARTTLS = NO
[remote]
type = `+a.pick("imap", "imap", "imaps")+`
host = {host}
port = {port}
username = {user}
password = {password}
STARTTLS = `+a.pick("NO", "YES", "NO")+`
SSL_CAfile = {ca}
`)
	local := access{protocol: "imap", address: peers.direct.imap, security: clear, user: copied, password: directPassword, dir: a.dir}
	return a.fill("XDG_DATA_HOME={dir}/data interimap --config={dir}/interimaprc && ") + python(local)
}
