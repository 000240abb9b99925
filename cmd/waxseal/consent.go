package main

import (
	"context"
	"fmt"
	"net/url"
	"strings"

	"github.com/spf13/cobra"

	"github.com/waxseal/waxseal/proxy/api"
	"github.com/waxseal/waxseal/proxy/oauth"
)

// consentFlags say how somebody approves.
type consentFlags struct {
	device    bool
	noBrowser bool
}

func (f *consentFlags) add(cmd *cobra.Command) {
	cmd.Flags().BoolVar(&f.device, "device", false, "enter a code on any device with a browser, instead of approving in one on this computer")
	cmd.Flags().BoolVar(&f.noBrowser, "no-browser", false, "only print the address of the provider's page")
}

// authorize has an account approved: in the browser, or by a code where none can
// be opened here and the provider has that.
func (m *Main) authorize(ctx context.Context, c *connection, address string, p api.Preflight, f consentFlags) (consented bool, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel() // ends the wait for a pasted address
	if why := m.noBrowser(); why != nil && p.Device && !f.device && !f.noBrowser {
		m.say("%v, so this goes by a code that you enter on another device; --no-browser prints the page's address instead", why)
		f.device = true
	}
	return c.Authorize(ctx, address, f.device, func(prompt api.Prompt) {
		switch {
		case prompt.URL != "":
			m.showPage(ctx, prompt.URL, f.noBrowser)
		case prompt.Device != nil:
			m.showCode(*prompt.Device)
		case prompt.Check != nil:
			m.printCheck(*prompt.Check)
		}
	})
}

// showPage opens the provider's page, and prints it for when that fails.
func (m *Main) showPage(ctx context.Context, page string, noBrowser bool) {
	opened := !noBrowser && m.openBrowser(page) == nil
	if opened {
		fmt.Fprintln(m.Out, "Approve in the browser that opens now. If none does, open this page:")
	} else {
		fmt.Fprintln(m.Out, "Open this page in a browser and approve:")
	}
	fmt.Fprintf(m.Out, "\n  %s\n\n", clean(page))
	asked := m.interactive()
	if asked && m.copyText(ctx, page) { // it holds a state and a challenge, and no secret
		fmt.Fprintln(m.Out, "It is in the clipboard, too.")
	}
	if home := redirectOf(page); home != nil && !opened {
		fmt.Fprintf(m.Out, "A browser on another computer ends at a page of %s, which it cannot reach unless\nyou run there, before you approve,\n\n  ssh -L %s:127.0.0.1:%[2]s %s\n\n", home.Host, home.Port(), m.hostName())
		if asked {
			fmt.Fprint(m.Out, "Or copy the address of the page at which it ends, and paste it here.\n\n")
		}
	}
	if asked {
		go m.takePasted(ctx, page) // ends with ctx, or with the program: see await
	}
}

// redirectOf is where a provider's page sends the browser in the end.
func redirectOf(page string) *url.URL {
	u, err := url.Parse(page)
	if err != nil {
		return nil
	}
	home, err := url.Parse(u.Query().Get("redirect_uri"))
	if err != nil || home.Port() == "" {
		return nil
	}
	return home
}

// takePasted waits for the address at which a browser elsewhere has ended.
func (m *Main) takePasted(ctx context.Context, page string) {
	for {
		line, err := m.await(ctx, func() (string, error) { return readLine(m.In) })
		if err != nil {
			return
		}
		if line = strings.TrimSpace(line); line == "" {
			continue
		}
		if err := oauth.Paste(ctx, page, line); err != nil && ctx.Err() == nil {
			m.say("%v", err)
		}
	}
}

// showCode shows a code as large as a terminal can.
func (m *Main) showCode(d oauth.DeviceCode) {
	code := clean(d.UserCode)
	line := "+" + strings.Repeat("-", len([]rune(code))+6) + "+"
	gap := "|" + strings.Repeat(" ", len(line)-2) + "|"
	bold, plain := "", ""
	if isTerminal(m.Out) && m.Getenv("NO_COLOR") == "" && m.Getenv("TERM") != "dumb" {
		bold, plain = "\x1b[1m", "\x1b[0m"
	}
	fmt.Fprintf(m.Out, "On any device, open\n\n    %s%s%s\n\nand enter the code\n\n    %s\n    %s\n    |   %s%s%s   |\n    %[5]s\n    %[4]s\n\nbefore %[9]s. Waiting for your approval there.\n",
		bold, clean(d.VerificationURL), plain, line, gap, bold, code, plain, d.Expires.Local().Format("15:04"))
	if d.VerificationURLComplete != "" {
		fmt.Fprintf(m.Out, "This address has the code in it:\n\n    %s\n\n", clean(d.VerificationURLComplete))
	}
}
