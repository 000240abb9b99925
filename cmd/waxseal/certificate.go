package main

import (
	"context"
	"fmt"
	"os"
	"runtime"

	"github.com/spf13/cobra"
)

func (m *Main) certificateCommand() *cobra.Command {
	var asJSON bool
	var export string
	cmd := &cobra.Command{
		Use:   "certificate",
		Short: "Show the certificate for local TLS, and export it",
		Long: `Show the certificate that mail programs meet with STARTTLS and on the TLS port.
Waxseal made it for localhost, 127.0.0.1 and ::1 of this computer; it signs itself
and cannot sign others. A program that asks whether to trust it shows the same
fingerprint. It is renewed 30 days before its end, and then asked about again.`,
		Args: exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return m.connected(cmd, false, func(ctx context.Context, c *connection) error {
				info, err := c.Certificate(ctx)
				if err != nil {
					return err
				}
				if export != "" {
					if err := os.WriteFile(export, []byte(info.PEM), 0o644); err != nil { // #nosec G306 -- it is for others to read
						return fmt.Errorf("export the certificate: %w", err)
					}
					m.say("wrote %s", export)
				}
				if asJSON {
					return m.printJSON(info)
				}
				if export == "" {
					fmt.Fprint(m.Out, info.PEM)
				}
				fmt.Fprintf(m.Out, "for            localhost, 127.0.0.1, ::1\ngood until     %s\nSHA-256        %s\n", info.NotAfter, info.Fingerprint)
				if info.File != "" {
					fmt.Fprintf(m.Out, "file           %s\n", info.File)
				}
				fmt.Fprintf(m.Out, "to trust it    %s\n", trustHelp(runtime.GOOS))
				return nil
			})
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	cmd.Flags().StringVar(&export, "export", "", "write the certificate, without its key, to `FILE`")
	return cmd
}

// trustHelp says how a mail program comes to trust the certificate.
func trustHelp(goos string) string {
	switch goos {
	case "windows":
		return "certutil -user -addstore Root FILE, for programs that ask Windows; others ask you themselves"
	case "darwin":
		return "security add-trusted-cert -r trustRoot -p ssl -k ~/Library/Keychains/login.keychain-db FILE, for programs that ask macOS; others ask you themselves"
	}
	return "name FILE as the program's trusted certificate (docs/clients.md); programs with windows ask you themselves"
}
