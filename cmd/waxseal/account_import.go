package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/waxseal/waxseal/proxy"
	"github.com/waxseal/waxseal/proxy/control"
)

func (m *Main) accountImportCommand() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "import FILE",
		Short: "Import accounts whose consent was given elsewhere",
		Long: `Import accounts with the refresh tokens they have already. FILE ("-" is standard
input) is a JSON list, or an object with such a list as "accounts"; each entry
has

  email, provider, client_id, client_secret, refresh_token

and may have smtp_password (the local password; one is made where it is
missing), oauth_token_url, oauth_endpoint (the provider's SMTP server as
host:port) and max_concurrent_messages. Bad entries are reported, the others
imported. Importing the same file again changes nothing.`,
		Args: exactly("FILE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx, stop := interruptible(cmd.Context())
			defer stop()
			return m.accountImport(ctx, args[0], asJSON)
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

func (m *Main) accountImport(ctx context.Context, file string, asJSON bool) error {
	data, err := m.readImport(file)
	if err != nil {
		return err
	}
	c, err := m.connect(ctx, true)
	if err != nil {
		return err
	}
	defer c.Close()
	report, err := c.Import(ctx, data)
	if err != nil {
		return err
	}
	if asJSON {
		err = m.printJSON(report)
	} else {
		m.printImport(report)
	}
	if err == nil && report.Failed > 0 {
		err = errTold
	}
	return err
}

func (m *Main) printImport(r proxy.ImportReport) {
	for _, w := range r.Warnings {
		m.say("warning: %s", w)
	}
	for _, p := range r.Problems {
		where := fmt.Sprintf("entry %d", p.Index)
		if p.Address != "" {
			where += " (" + p.Address + ")"
		}
		m.say("%s: %s", where, strings.ReplaceAll(p.Problem, "\n", "; "))
	}
	fmt.Fprintf(m.Out, "%d imported, %d unchanged, %d failed\n", r.Imported, r.Unchanged, r.Failed)
}

// readImport reads the file, or standard input for "-".
func (m *Main) readImport(file string) ([]byte, error) {
	in := io.NopCloser(m.In)
	if file != "-" {
		f, err := os.Open(file)
		if err != nil {
			return nil, withCure(fmt.Errorf("read the import file: %w", err), "name a JSON file, or - for standard input")
		}
		in = f
	}
	defer in.Close()
	data, err := io.ReadAll(io.LimitReader(in, control.MaxImport+1))
	if err != nil {
		return nil, fmt.Errorf("read the import file: %w", err)
	}
	if len(data) > control.MaxImport {
		return nil, withCure(fmt.Errorf("the import file is larger than %d MiB", control.MaxImport>>20), "split it")
	}
	return data, nil
}
