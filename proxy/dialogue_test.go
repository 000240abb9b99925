package proxy

import (
	"context"
	"crypto/tls"
	"encoding/base64"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/waxseal/waxseal/proxy/dialogue"
	"github.com/waxseal/waxseal/proxy/providertest"
)

// TestDialogues plays the dialogues in testdata/dialogues. A message may only arrive if the
// dialogue checks it.
//
// WAXSEAL_DIALOGUES is a folder with dialogues of other suites to play too. They only have to get
// replies of the classes they expect.
func TestDialogues(t *testing.T) {
	files, err := filepath.Glob("testdata/dialogues/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no dialogues: %v", err)
	}
	for _, file := range files {
		playFile(t, file, false)
	}
	foreign := os.Getenv("WAXSEAL_DIALOGUES")
	if foreign == "" {
		return
	}
	files, err = filepath.Glob(filepath.Join(foreign, "*"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no dialogues in %s: %v", foreign, err)
	}
	for _, file := range files {
		playFile(t, file, true)
	}
}

func playFile(t *testing.T, file string, loose bool) {
	list, err := dialogue.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	t.Run(filepath.Base(file), func(t *testing.T) {
		r := newRig(t, rigOptions{})
		r.provider.SetFaults(providertest.Faults{SMTP: stubborn})
		for _, d := range list {
			t.Run(d.Name, func(t *testing.T) { r.play(t, d, loose) })
		}
	})
}

func (r *rig) play(t *testing.T, d dialogue.Dialogue, loose bool) {
	seen := len(r.provider.Messages())
	check := func(claim string) error {
		messages := r.provider.Messages()[seen:]
		seen += len(messages)
		got := "nothing arrived"
		for i, m := range messages {
			if i == 0 {
				got = "arrived"
			}
			got += envelope(m)
		}
		if got != claim {
			return fmt.Errorf("%s, instead of: %s", got, claim)
		}
		return nil
	}
	player := dialogue.Player{
		Open: func(ctx context.Context, implicit bool) (net.Conn, error) {
			if implicit {
				return (&tls.Dialer{Config: &tls.Config{InsecureSkipVerify: true}}).DialContext(ctx, "tcp", r.tls)
			}
			return new(net.Dialer).DialContext(ctx, "tcp", r.plain)
		},
		TLS:      &tls.Config{InsecureSkipVerify: true},
		Replace:  strings.NewReplacer("$AUTH", plainResponse(me, password), "$USER", inBase64(me), "$PASSWORD", inBase64(password)),
		Check:    check,
		Patience: patience,
		Loose:    loose,
	}
	if err := player.Play(t.Context(), d); err != nil {
		t.Fatal(err)
	}
	if err := check("nothing arrived"); err != nil && !loose {
		t.Error(err)
	}
}

// envelope is a message's sender and recipients with their parameters, as in the commands.
func envelope(m providertest.Message) string {
	e := " <" + m.From + ">"
	if m.MailParams != "" {
		e += " " + m.MailParams
	}
	for _, to := range m.Rcpts {
		e += " <" + to.To + ">"
		if to.Params != "" {
			e += " " + to.Params
		}
	}
	return e
}

func inBase64(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }

// stubborn refuses the addresses that dialogues want to be refused.
func stubborn(e providertest.Event) providertest.Action {
	switch {
	case e.Step == providertest.StepRcpt && strings.Contains(e.Line, "<unknown@"):
		return providertest.Action{Code: 550, Text: "5.1.1 The address you entered\n5.1.1 does not exist"}
	case e.Step == providertest.StepRcpt && strings.Contains(e.Line, "<busy@"):
		return providertest.Action{Code: 451, Text: "4.2.1 Too busy"}
	case e.Step == providertest.StepMail && strings.Contains(e.Line, "<stranger@"):
		return providertest.Action{Code: 550, Text: "5.7.60 SMTP; Client does not have permissions to send as this sender"}
	}
	return providertest.Action{}
}
