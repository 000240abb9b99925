package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/waxseal/waxseal/keystore/safeio"
	"github.com/waxseal/waxseal/proxy/api"
	"github.com/waxseal/waxseal/proxy/control"
	"github.com/waxseal/waxseal/proxy/emailproxy"
)

func (m *Main) accountImportCommand() *cobra.Command {
	var asJSON bool
	var passwords string
	cmd := &cobra.Command{
		Use:   "import FILE",
		Short: "Import accounts that were approved elsewhere",
		Long: `Import accounts with the refresh tokens they already have. FILE ("-" for standard
input) is a JSON list, or an object with such a list as "accounts". Each entry has

  email, provider, client_id, client_secret, refresh_token

and may have smtp_password (the local password; created if missing),
oauth_token_url, oauth_endpoint (the provider's SMTP server as host:port) and
max_concurrent_messages.

FILE can also be the configuration of email-oauth2-proxy, emailproxy.config. Its
tokens are encrypted with the password that the mail program uses, and Waxseal
asks for it. With the password, the tokens are taken over and the mail program
keeps its password; only the port changes there. Without it, the accounts are
added, and you approve each of them with "waxseal account reauthorize".

Entries with errors are reported, and the others are imported. Importing the same
file again changes nothing. The exit code is 1 if an entry has an error, or if
something of an emailproxy.config could not be taken over and you have to do it.`,
		Args: exactly("FILE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if passwords == "-" && args[0] == "-" {
				return &usageError{errors.New("standard input cannot be both the import file and the passwords")}
			}
			return m.connected(cmd, true, func(ctx context.Context, c *connection) error {
				return m.accountImport(ctx, c, args[0], passwords, asJSON)
			})
		},
	}
	cmd.Flags().StringVar(&passwords, "password-file", "", "for emailproxy.config: `FILE` with mail passwords, one \"ADDRESS PASSWORD\" per line; - for standard input")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

func (m *Main) accountImport(ctx context.Context, c *connection, file, passwordFile string, asJSON bool) error {
	data, err := m.readAll(file, "import file", "name a JSON file or an emailproxy.config, or - for standard input", control.MaxImport)
	if err != nil {
		return err
	}
	foreign := emailproxy.Is(data)
	var report api.ImportReport
	var passwords map[string]string
	switch {
	case foreign:
		if passwords, err = m.mailPasswords(ctx, data, passwordFile); err == nil {
			report, err = c.ImportEmailProxy(ctx, data, passwords)
		}
	case passwordFile != "":
		err = &usageError{errors.New("--password-file only goes with an emailproxy.config, and this file is not one")}
	default:
		report, err = c.Import(ctx, data)
	}
	if err != nil {
		return err
	}
	if asJSON {
		err = m.printJSON(report)
	} else {
		m.printImport(report)
		if foreign {
			err = m.printMove(ctx, c, report, len(passwords) > 0)
		}
	}
	if err == nil && !report.Complete() {
		err = errTold
	}
	return err
}

func (m *Main) printImport(r api.ImportReport) {
	for _, w := range r.Warnings {
		m.say("warning: %s", w.Error())
	}
	for _, p := range r.Left {
		m.say("to do: %s", p.Error())
	}
	for _, p := range r.Problems {
		where := fmt.Sprintf("entry %d", p.Index)
		if p.Address != "" {
			where += " (" + p.Address + ")"
		}
		m.say("%s: %s", where, p.Problem.Error())
	}
	fmt.Fprintf(m.Out, "%d imported, %d unchanged, %d failed\n", r.Imported, r.Unchanged, r.Failed)
}

// printMove says what is left to do after the move from email-oauth2-proxy.
func (m *Main) printMove(ctx context.Context, c *connection, r api.ImportReport, kept bool) error {
	for _, address := range r.Consent {
		fmt.Fprintf(m.Out, "%s must still be approved: `waxseal account reauthorize %[1]s`\n", address)
	}
	if r.Imported == 0 {
		return nil
	}
	if len(r.Servers) > 0 {
		s := r.Servers[0]
		fmt.Fprintf(m.Out, "In your mail programs, change the outgoing server to %s port %d (%s).\n", s.Host, s.Port, securityName(s.TLS))
	}
	if kept {
		fmt.Fprintln(m.Out, "Accounts whose tokens were taken over keep their user name and password.")
	}
	fmt.Fprintln(m.Out, "`waxseal account password ADDRESS` shows an account's password. Stop email-oauth2-proxy from\nsending first: if two programs use the same token, one of them loses it.")
	return nil
}

// mailPasswords returns the passwords that open the tokens of an emailproxy.config. They come
// from a file, or the user is asked; without a user there are none.
func (m *Main) mailPasswords(ctx context.Context, data []byte, file string) (map[string]string, error) {
	if file != "" {
		lines, err := m.readAll(file, "mail passwords", "name a file with an address and its password on each line", 1<<20)
		if err != nil {
			return nil, err
		}
		return parsePasswords(lines)
	}
	parsed, err := emailproxy.Parse(data)
	if err != nil || !m.interactive() {
		return nil, nil // the import itself says what is wrong with the file
	}
	passwords := map[string]string{}
	for _, a := range parsed.Accounts {
		for tries := 3; parsed.NeedsPassword(a) && tries > 0; tries-- {
			password, err := m.askSecret(ctx, "password that mail programs use for "+a.Address+" (empty: approve it later):")
			if err != nil {
				return nil, err
			}
			_, err = a.Open(password)
			if password == "" || !errors.Is(err, emailproxy.ErrPassword) {
				passwords[a.Address] = password
				break
			}
			m.say("%v", err)
		}
	}
	return passwords, nil
}

// parsePasswords reads "ADDRESS PASSWORD" lines. A password may contain spaces.
func parsePasswords(data []byte) (map[string]string, error) {
	text, err := safeio.Text(data)
	if err != nil {
		return nil, fmt.Errorf("mail passwords: %w", err)
	}
	passwords := map[string]string{}
	lines := bufio.NewScanner(strings.NewReader(safeio.UnixLines(text)))
	for n := 1; lines.Scan(); n++ {
		address, password, ok := strings.Cut(strings.TrimLeft(lines.Text(), " \t"), " ")
		switch {
		case address == "" && !ok:
		case !ok || password == "" || !strings.Contains(address, "@"):
			return nil, withCure(fmt.Errorf("mail passwords: line %d is not an address followed by a password", n), `write one "me@example.com PASSWORD" per line`)
		default:
			passwords[address] = password
		}
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("read the mail passwords: %w", err)
	}
	return passwords, nil
}

// readAll reads a file of at most so many bytes, or standard input for "-".
func (m *Main) readAll(file, what, cure string, most int) ([]byte, error) {
	in := io.NopCloser(m.In)
	if file != "-" {
		f, err := os.Open(file)
		if err != nil {
			return nil, withCure(fmt.Errorf("read the %s: %w", what, err), cure)
		}
		in = f
	}
	defer in.Close()
	data, err := io.ReadAll(io.LimitReader(in, int64(most)+1))
	if err != nil {
		return nil, fmt.Errorf("read the %s: %w", what, err)
	}
	if len(data) > most {
		return nil, withCure(fmt.Errorf("the %s is larger than %d MiB", what, most>>20), "split it")
	}
	return data, nil
}
