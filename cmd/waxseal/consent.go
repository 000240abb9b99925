package main

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/waxseal/waxseal/proxy/api"
	"github.com/waxseal/waxseal/proxy/oauth"
)

// consentFlags say how the user signs in.
type consentFlags struct {
	device    bool
	noBrowser bool
}

func (f *consentFlags) add(cmd *cobra.Command) {
	cmd.Flags().BoolVar(&f.device, "device", false, "sign in on another device, with a code")
	cmd.Flags().BoolVar(&f.noBrowser, "no-browser", false, "print the address of the sign-in page instead of opening a browser")
}

// signIn is one sign-in for an account. Its user has up to two ways: the provider's page and,
// where no browser can be opened here, a code to enter on another device. The first way to end
// decides.
//
// The engine keeps it going. Ctrl-C cancels it if this command began it.
type signIn struct {
	m       *Main
	c       *connection
	to      api.ConsentRequest
	how     consentFlags
	hasCode bool // the provider can sign in with a code
	joined  bool // it was going on already

	ways    sync.WaitGroup
	running int // ways that have not ended
	prompts chan wayPrompt
	ended   chan wayEnd

	page      string
	pageEnds  time.Time
	codeShown bool

	// browser gets the result of the program that opens the browser. Once hopeful fires, it has
	// not come yet, and a failure no longer means that no browser opened.
	browser <-chan error
	hopeful <-chan time.Time
}

// wayPrompt is a prompt of one way.
type wayPrompt struct {
	byCode bool
	api.Prompt
}

// wayEnd is how one way ended.
type wayEnd struct {
	byCode    bool
	consented bool
	err       error
}

// browserPatience is how long a failure of the program that opens the browser means that no browser
// opened. After that, the user may have closed it.
const browserPatience = 5 * time.Second

// cancelPatience limits a request to end the sign-in, after which its account may be removed.
const cancelPatience = 15 * time.Second

// authorize has the user approve an account, which is added first if to.New says so.
func (m *Main) authorize(ctx context.Context, c *connection, to api.ConsentRequest, p api.Preflight, f consentFlags) (consented bool, err error) {
	s := &signIn{m: m, c: c, to: to, how: f, hasCode: p.Device,
		prompts: make(chan wayPrompt), ended: make(chan wayEnd, 2)}
	ctx, cancel := context.WithCancel(ctx)
	defer s.ways.Wait()
	defer cancel() // ends the wait for a pasted address
	defer func() {
		if consented || s.joined {
			return
		}
		end, stop := context.WithTimeout(context.WithoutCancel(ctx), cancelPatience)
		defer stop()
		err = errors.Join(err, c.CancelSignIn(end, to.Account.Address))
	}()
	s.begin(ctx, f.device)
	for {
		select {
		case p := <-s.prompts:
			s.show(ctx, p)
		case err := <-s.browser:
			s.browser, s.hopeful = nil, nil
			if err != nil {
				m.say("the browser could not be opened: %v", err)
				s.goElsewhere(ctx)
			}
		case <-s.hopeful: // many run as long as their browser, others hang
			s.browser = nil
			fmt.Fprintln(m.Out, "If no browser has opened by now:")
			s.goElsewhere(ctx)
		case end := <-s.ended:
			s.running--
			if end.consented && s.running > 0 {
				continue // the other way ends too, with the same result
			}
			if !end.consented && end.err != nil && end.byCode && !s.codeShown && s.page != "" && ctx.Err() == nil {
				m.say("a sign-in with a code is not possible now: %v; use the page above", end.err)
				continue
			}
			return end.consented, end.err
		}
	}
}

// begin starts one way.
func (s *signIn) begin(ctx context.Context, byCode bool) {
	to := s.to
	to.Device = byCode
	s.running++
	s.ways.Go(func() {
		consented, err := s.c.Authorize(ctx, to, func(p api.Prompt) {
			select {
			case s.prompts <- wayPrompt{byCode, p}:
			case <-ctx.Done():
			}
		})
		s.ended <- wayEnd{byCode, consented, err}
	})
}

func (s *signIn) show(ctx context.Context, p wayPrompt) {
	switch {
	case p.Joined:
		s.joined = true
		s.m.say("a sign-in to %s is going on already; this command waits for it too", clean(s.to.Account.Address))
	case p.URL != "":
		s.pageEnds = p.Ends
		s.showPage(ctx, p.URL)
	case p.Device != nil:
		s.showCode(*p.Device)
	case p.Check != nil && p.byCode && s.page != "" && !s.codeShown: // the end of this way says why there is no code
	case p.Check != nil:
		s.m.printCheck(*p.Check)
	}
}

// showPage opens the provider's page, and prints its address in case that fails.
func (s *signIn) showPage(ctx context.Context, page string) {
	s.page = page
	m := s.m
	if !s.how.noBrowser && !s.joined { // whoever began it has opened the browser
		opener, err := m.startBrowser(page)
		if err != nil {
			m.say("no browser can be opened here: %v", err)
		}
		s.browser = opener
	}
	if s.browser != nil {
		fmt.Fprintln(m.Out, "Approve in the browser that opens now. If none opens, open this page:")
	} else {
		fmt.Fprintln(m.Out, "Open this page in a browser and approve:")
	}
	fmt.Fprintf(m.Out, "\n  %s\n\n", clean(page))
	fmt.Fprintln(m.Out, "If the page shows an error instead, `waxseal explain ERROR` says what to do.")
	asked := m.interactive()
	if asked && m.copyText(ctx, page) { // it holds a state and a challenge, but no secret
		fmt.Fprintln(m.Out, "The address is also in the clipboard.")
	}
	if s.browser != nil {
		s.hopeful = time.After(browserPatience)
		s.hintElsewhere()
	} else {
		s.goElsewhere(ctx)
	}
	if asked {
		go m.takePasted(ctx, page) // ends with ctx, or with the program: see await
	}
}

// hintElsewhere says what to do if the browser that was opened is of no use: it may be on a screen
// that nobody sees, or insist on HTTPS, which the page at the end of the sign-in does not have.
func (s *signIn) hintElsewhere() {
	if s.m.interactive() {
		fmt.Fprintln(s.m.Out, "If the browser ends at a page it cannot open, paste the address of that page here.")
	}
	if s.hasCode {
		fmt.Fprintln(s.m.Out, "To sign in on another device instead, stop this with Ctrl-C and add --device.")
	}
}

// goElsewhere says how to approve with a browser on another computer, and asks for a code if the
// provider has that.
func (s *signIn) goElsewhere(ctx context.Context) {
	m := s.m
	if home := redirectOf(s.page); home != nil {
		fmt.Fprintf(m.Out, "To approve on another computer, run this there first, because the sign-in ends at a page\nof this one (%s):\n\n  ssh -L %s:127.0.0.1:%[2]s %s\n\n",
			home.Host, home.Port(), m.hostName())
		if m.interactive() {
			fmt.Fprint(m.Out, "Or, when the browser there ends at a page it cannot open, paste the address of that page here.\n\n")
		}
	}
	if s.hasCode && !s.how.noBrowser {
		s.begin(ctx, true)
	}
}

// redirectOf is the address to which a provider's page sends the browser in the end.
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

// pasteGap is how long the rest of an address may take that was pasted in several lines: the last of
// them comes when the user presses Enter.
const pasteGap = 1500 * time.Millisecond

// takePasted waits for the user to paste the address at which a browser has ended.
func (m *Main) takePasted(ctx context.Context, page string) {
	lines := make(chan string)
	go func() {
		defer close(lines)
		for {
			line, err := m.await(ctx, func() (string, error) { return readLine(m.In) })
			if err != nil {
				return
			}
			select {
			case lines <- line:
			case <-ctx.Done():
				return
			}
		}
	}()
	var text string
	var whole <-chan time.Time
	for {
		select {
		case line, ok := <-lines:
			switch {
			case !ok:
				return
			case strings.TrimSpace(line) != "":
				text += line + "\n"
				whole = time.After(pasteGap)
			}
		case <-whole:
			if err := oauth.Paste(ctx, page, text); err != nil && ctx.Err() == nil {
				m.say("%v", err)
			}
			text = ""
		}
	}
}

// showCode shows a code as large as a terminal can.
func (s *signIn) showCode(d api.DeviceCode) {
	s.codeShown = true
	open, expires := "On any device, open", d.Expires
	if s.page != "" {
		open = "Or, on any device, open"
		if s.pageEnds.Before(expires) {
			expires = s.pageEnds // the page's way ends then, and so does the sign-in
		}
	}
	code := clean(d.UserCode)
	line := "+" + strings.Repeat("-", len([]rune(code))+6) + "+"
	gap := "|" + strings.Repeat(" ", len(line)-2) + "|"
	bold, plain := "", ""
	if isTerminal(s.m.Out) && s.m.Getenv("NO_COLOR") == "" && s.m.Getenv("TERM") != "dumb" {
		bold, plain = "\x1b[1m", "\x1b[0m"
	}
	fmt.Fprintf(s.m.Out, "%s\n\n    %s%s%s\n\nand enter the code\n\n    %s\n    %s\n    |   %[2]s%[7]s%[4]s   |\n    %[6]s\n    %[5]s\n\nbefore %[8]s. Waiting for your approval there.\n",
		open, bold, clean(d.VerificationURL), plain, line, gap, code, expires.Local().Format("15:04"))
	if d.VerificationURLComplete != "" {
		fmt.Fprintf(s.m.Out, "This address includes the code:\n\n    %s\n\n", clean(d.VerificationURLComplete))
	}
}
