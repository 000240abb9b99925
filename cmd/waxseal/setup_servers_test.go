//go:build linux && clients

package main_test

import (
	"context"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/waxseal/waxseal/proxy/providertest"
)

// layer is a Debian package that .ci/layers installed, laid over this machine's files: what is written
// there stays apart, and whatever is started ends with the script that started it.
type layer struct {
	*setUp
	upper string
}

// newLayer skips the test if the package is not there.
func newLayer(t *testing.T, s *setUp, name string) *layer {
	t.Helper()
	dir, err := filepath.Abs(filepath.Join("..", "..", "bin", "layers", name))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(dir); err != nil || os.Getuid() != 0 {
		t.Skipf("NOT TESTED: .ci/layers %s, as root, installs it (make clients): %v", name, err)
	}
	l := &layer{s, t.TempDir()}
	if out, err := exec.Command("cp", "-a", dir, filepath.Join(l.upper, "files")).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if out, err := l.command(t.Context(), "true").CombinedOutput(); err != nil {
		t.Skipf("NOT TESTED: no files can be laid over this machine's: %v\n%s", err, out)
	}
	return l
}

// command runs a shell script as root over the machine's files. Folders for temporary files are the
// machine's own, so that programs there reach Waxseal.
func (l *layer) command(ctx context.Context, script string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "unshare", "--mount", "--pid", "--fork", "--kill-child", "sh", "-ec", `
mkdir -p "$UPPER/work" "$UPPER/root"
mount -t overlay overlay -o "lowerdir=/,upperdir=$UPPER/files,workdir=$UPPER/work" "$UPPER/root"
mount --rbind /dev "$UPPER/root/dev"
mount -t proc proc "$UPPER/root/proc"
mount --rbind "$TEMPORARY" "$UPPER/root$TEMPORARY"
exec chroot "$UPPER/root" sh -ec "$0"`, script)
	cmd.Env = append(l.env, "UPPER="+l.upper, "TEMPORARY="+os.TempDir(), "PATH="+os.Getenv("PATH")+":/usr/sbin:/sbin")
	cmd.WaitDelay = time.Second
	return cmd
}

func (l *layer) must(script string) string {
	l.t.Helper()
	ctx, cancel := context.WithTimeout(l.t.Context(), time.Minute)
	defer cancel()
	out, err := l.command(ctx, script).CombinedOutput()
	if err != nil {
		l.t.Fatalf("%s: %v\n%s", script, err, out)
	}
	return string(out)
}

// sends runs a script until a message has arrived at the provider, or until the script has ended, and
// returns that message.
func (l *layer) sends(script string) providertest.Message {
	l.t.Helper()
	before := len(l.provider.Messages())
	running, stop := context.WithTimeout(l.t.Context(), time.Minute)
	defer stop()
	waiting, enough := context.WithCancel(running)
	var said strings.Builder
	cmd := l.command(running, script)
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Start(); err != nil {
		l.t.Fatal(err)
	}
	var failed error
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		failed = cmd.Wait()
		enough()
	}()
	l.provider.WaitMessages(waiting, before+1)
	stop()
	<-ended
	all := l.provider.Messages()[before:]
	if len(all) != 1 {
		l.t.Fatalf("%d messages arrived: %v\n%s", len(all), failed, said.String())
	}
	return all[0]
}

// files describes files, each with its content, mode and owner.
func (l *layer) files(names string) string {
	l.t.Helper()
	return l.must("for f in " + names + "; do if [ -e $f ]; then stat -c '%n %a %U:%G' $f; sha256sum $f; else echo no $f; fi; done; ls -a " + filepath.Dir(strings.Fields(names)[0]))
}

// mailServers are servers as Debian installs them.
var mailServers = []struct {
	name, layer, files string
	first              string // what the test needs apart from the program's set-up
	use                string // sends a message to you@else.example from root
}{
	{name: "exim", layer: "exim4-daemon-light", files: "/etc/exim4/update-exim4.conf.conf /etc/exim4/exim4.conf.localmacros /etc/exim4/passwd.client",
		use: "update-exim4.conf; " + helloFromRoot + " | /usr/sbin/sendmail -odf -i you@else.example; tail -n 20 /var/log/exim4/*"},
	{name: "postfix", layer: "postfix", files: "/etc/postfix/main.cf /etc/postfix/waxseal_passwd",
		first: "postconf -MX smtp/inet; postconf maillog_file=/dev/stdout", // no port for others
		use:   helloFromRoot + " | /usr/sbin/sendmail you@else.example; test -z \"$(postconf 2>&1 >/dev/null)\"; exec postfix start-fg"},
	{name: "dma", layer: "dma", files: "/etc/dma/dma.conf /etc/dma/auth.conf", use: helloFromRoot + " | /usr/sbin/sendmail -D -i you@else.example"},
	{name: "monit", layer: "monit", files: "/etc/monit/conf.d/waxseal /etc/monit/monitrc", use: "monit -t; exec monit -I -d 1"},
}

const helloFromRoot = `printf 'Subject: Hello\n\nHello!\n'`

// TestSetupServersPrints: what is printed for servers whose files Waxseal does not write makes them send.
func TestSetupServersPrints(t *testing.T) {
	s := startSetUp(t)
	for _, p := range []struct{ name, layer, to, use string }{
		{"nullmailer", "nullmailer", "you@else.example", `
waxseal setup nullmailer ` + sender + ` | sed s/LOCAL_PASSWORD/"$PASSWORD"/ | grep -v '^#' | grep . > lines
sed -n 1p lines > /etc/nullmailer/remotes; sed -n 2p lines > /etc/nullmailer/allmailfrom
` + helloFromRoot + ` | /usr/sbin/sendmail you@else.example
cd /var/spool/nullmailer; exec setpriv --reuid mail --regid mail --clear-groups nullmailer-send`},
		{"alertmanager", "prometheus-alertmanager", sender, `
{ waxseal setup alertmanager ` + sender + ` | sed s/LOCAL_PASSWORD/"$PASSWORD"/
printf 'route:\n  receiver: me\n  group_wait: 1ms\nreceivers:\n- name: me\n  email_configs:\n  - to: ` + sender + `\n'; } > am.yml
amtool check-config am.yml
prometheus-alertmanager --config.file=am.yml --storage.path="$HOME/am" --web.listen-address="$FREE" --cluster.listen-address= 2>&1 &
curl --silent --show-error --retry 60 --retry-connrefused --retry-max-time 50 "http://$FREE/-/ready"
amtool --alertmanager.url="http://$FREE" alert add Hello
wait`},
	} {
		t.Run(p.name, func(t *testing.T) {
			s.t = t
			l := newLayer(t, s, p.layer)
			free, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			free.Close()
			l.env = append(l.env, "PASSWORD="+localPassword, "FREE="+free.Addr().String())
			m := l.sends(p.use)
			if m.From != sender || len(m.Rcpts) != 1 || m.Rcpts[0].To != p.to {
				t.Errorf("from %s to %+v", m.From, m.Rcpts)
			}
			t.Logf("%.500s", m.Body)
		})
	}
}

// TestSetupServers: a mail server that `waxseal setup --write` has set up sends through Waxseal, with the
// account's address as the sender; --undo leaves its files as they were.
func TestSetupServers(t *testing.T) {
	plain, tls := startSetUp(t), startSetUpWith(t, onlyTLS)
	for _, p := range mailServers {
		for way, s := range map[string]*setUp{"without TLS": plain, "TLS": tls} {
			t.Run(p.name+"/"+way, func(t *testing.T) {
				s.t = t
				l := newLayer(t, s, p.layer)
				l.must(p.first)
				before := l.files(p.files)
				l.must("waxseal setup " + p.name + " " + sender + " --write")
				l.must("waxseal setup " + p.name + " " + sender + " --write")
				m := l.sends(p.use)
				want := "you@else.example"
				if p.name == "monit" {
					want = sender // it writes to nobody else
				}
				if m.From != sender || len(m.Rcpts) != 1 || m.Rcpts[0].To != want {
					t.Errorf("from %s to %+v", m.From, m.Rcpts)
				}
				t.Logf("%s", m.Body)
				l.must("waxseal setup " + p.name + " " + sender + " --undo")
				if after := l.files(p.files); after != before {
					t.Errorf("after --undo:\n%s\nwant\n%s", after, before)
				}
			})
		}
	}
}

// TestSetupAerc: aerc, on a terminal, shows a message that it has read through Waxseal, and sends one.
func TestSetupAerc(t *testing.T) {
	s := startSetUp(t)
	l := newLayer(t, s, "aerc")
	s.provider.Deliver(sender, []byte(crlf(header+"Read me!\n")))
	l.must("waxseal setup aerc " + sender + " --write")
	file := filepath.Join(s.home, ".config", "aerc", "accounts.conf")
	if written := readFile(t, file); strings.Contains(written, localPassword) {
		t.Errorf("the file has the password:\n%s", written)
	}
	l.must("command -v tmux")
	m := l.sends(`
mkdir -p run; export XDG_RUNTIME_DIR="$PWD/run" EDITOR="$PWD/editor" TERM=screen
printf '#!/bin/sh\necho Hello! >> "$1"\n' > editor; chmod 755 editor
screen() { tmux -S run/tmux capture-pane -p; }
shows() { until screen | grep -q "$1"; do sleep 0.1; done; }
tmux -S run/tmux new-session -d -x 120 -y 30 'aerc; sleep 60'
(sleep 20; screen) &
shows 'From a real client'
tmux -S run/tmux send-keys ':compose -H "To: you@else.example" -H "Subject: Hello"' Enter
shows 'Send this email'
tmux -S run/tmux send-keys y
wait`)
	if m.From != sender || len(m.Rcpts) != 1 || m.Rcpts[0].To != "you@else.example" || !strings.Contains(string(m.Body), "Hello!") {
		t.Errorf("from %s to %+v: %s", m.From, m.Rcpts, m.Body)
	}
	l.must("waxseal setup aerc " + sender + " --undo")
	if _, err := os.Stat(file); !os.IsNotExist(err) {
		t.Errorf("the file that Waxseal made is left: %v", err)
	}
}
