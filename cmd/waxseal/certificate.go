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
		Short: "Show or export the local TLS certificate",
		Long: `Show the certificate that Waxseal uses for STARTTLS and on the TLS port. Waxseal
created it for localhost, 127.0.0.1 and ::1 on this computer. It is self-signed
and cannot sign other certificates. A program that asks whether to trust it shows
the same fingerprint. Waxseal renews it 30 days before it expires; mail programs
then ask again.

Other computers see the certificate of [tls] in the configuration, if there is
one (docs/server.md); "waxseal doctor" checks that.`,
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
					m.say("wrote the certificate to %s", export)
				}
				if asJSON {
					return m.printJSON(info)
				}
				if export == "" {
					fmt.Fprint(m.Out, info.PEM)
				}
				fmt.Fprintf(m.Out, "for            localhost, 127.0.0.1, ::1\nvalid until    %s\nSHA-256        %s\n", info.NotAfter, info.Fingerprint)
				if info.File != "" {
					fmt.Fprintf(m.Out, "file           %s\n", info.File)
				}
				fmt.Fprintf(m.Out, "to trust it    %s\n", trustHelp(runtime.GOOS))
				return nil
			})
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	cmd.Flags().StringVar(&export, "export", "", "write the certificate (without its key) to `FILE`")
	return cmd
}

// trustHelp says how to make mail programs trust the certificate.
func trustHelp(goos string) string {
	switch goos {
	case "windows":
		return "run certutil -user -addstore Root FILE for programs that use the certificates of Windows; others ask you themselves"
	case "darwin":
		return "run security add-trusted-cert -r trustRoot -p ssl -k ~/Library/Keychains/login.keychain-db FILE for programs that use the certificates of macOS; others ask you themselves"
	}
	return "set FILE as the program's trusted certificate (docs/clients.md); programs with a window ask you themselves"
}
