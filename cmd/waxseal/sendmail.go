package main

import (
	"context"
	"errors"
	"fmt"
	"net/mail"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/waxseal/waxseal/proxy/api"
	"github.com/waxseal/waxseal/proxy/config"
	"github.com/waxseal/waxseal/proxy/control"
)

// Exit codes of sendmail, of which programs know what they mean (sysexits(3)).
const (
	exUsage       = 64
	exDataErr     = 65
	exNoUser      = 67
	exUnavailable = 69
	exTempFail    = 75
	exNoPerm      = 77
	exConfig      = 78
)

// exitError is an error with the exit code for it.
type exitError struct {
	error
	code int
}

func (e *exitError) Unwrap() error { return e.error }

func exitWith(code int, format string, args ...any) error {
	return &exitError{fmt.Errorf(format, args...), code}
}

func (m *Main) sendmailCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "sendmail [-t] [-i] [-f SENDER] [-F NAME] [--] [RECIPIENT...]",
		Short: "Send a message from standard input, as sendmail does",
		Long: `Send the message on standard input through the running Waxseal, for programs that
send with a program called sendmail. A link of that name to waxseal does the same:

  ln -s /usr/bin/waxseal /usr/local/sbin/sendmail

  -t          send to the addresses in To, Cc and Bcc; Bcc is removed
  -i, -oi     a line with a dot alone does not end the message
  -f SENDER   the account to send from; it is not needed if there is only one
              account, or if From in the message names one
  -F NAME     the sender's name in From, if the message has no From

From, Date and Message-ID are added to a message that lacks them. Other options of sendmail are accepted and ignored. The message is sent to all
recipients or to none. Only the user that Waxseal runs as, and root, can send this
way. The exit code is one of sysexits(3): 0 if the provider has accepted the
message, 64 for wrong usage, 65 for a message that cannot be read, 67 for a
recipient that was refused, 69 if the message was refused, 75 to try again later,
77 if the login was refused, 78 if there is no account to send from.`,
		DisableFlagParsing: true,
		RunE: func(cmd *cobra.Command, args []string) error {
			call, err := readSendmailArgs(args)
			if err != nil {
				return &exitError{err, exUsage}
			}
			if call.help {
				return cmd.Help()
			}
			if call.config != "" {
				m.flags.config = call.config
			}
			switch call.mode {
			case 'p':
				fmt.Fprintln(m.Out, "Mail queue is empty: Waxseal keeps no messages")
				return nil
			case 'i', 'I': // newaliases
				return nil
			case 'm', 0:
			default:
				return exitWith(exUsage, "sendmail -b%c is not something Waxseal does; it sends one message from standard input", call.mode)
			}
			ctx, stop := interruptible(cmd.Context())
			defer stop()
			return m.sendmail(ctx, call)
		},
	}
}

// sendmail sends the message on standard input.
func (m *Main) sendmail(ctx context.Context, call sendmailCall) error {
	msg, err := readMessage(m.In, call.dotEnds)
	if err != nil {
		return &exitError{err, exDataErr}
	}
	to := call.to
	if call.fromHeader {
		listed, err := msg.recipients()
		if err != nil {
			return &exitError{err, exDataErr}
		}
		to = append(slices.Clone(to), listed...)
	}
	if len(to) == 0 {
		return exitWith(exUsage, "there is no recipient; name one, or use -t and write To, Cc or Bcc in the message")
	}
	c, err := m.running(ctx)
	if err != nil {
		return &exitError{err, exTempFail}
	}
	defer c.Close()
	account, err := senderAccount(ctx, c, call, msg)
	if err != nil {
		return err
	}
	e := sendmailEnvelope{from: account, to: inFull(to, account)}
	if call.null {
		e.from = ""
	}
	msg.addMissing(mail.Address{Name: call.name, Address: account}, time.Now())
	s, err := c.MailSettings(ctx, account, false)
	if err != nil {
		return &exitError{err, exTempFail}
	}
	return submit(ctx, c, s, e, msg)
}

// senderAccount is the account to send from: that of -f, else that of From, else the only one.
func senderAccount(ctx context.Context, c *control.Client, call sendmailCall, msg *message) (string, error) {
	all, err := c.Accounts(ctx)
	if err != nil {
		return "", &exitError{err, exTempFail}
	}
	var sending []string
	for _, a := range all {
		if slices.ContainsFunc(a.Protocols, func(p api.Protocol) bool { return p == api.SMTP }) || len(a.Protocols) == 0 {
			sending = append(sending, a.Address)
		}
	}
	for _, address := range []string{call.from, msg.from()} {
		i := slices.IndexFunc(sending, func(a string) bool { return config.Fold(a) == config.Fold(address) })
		if i >= 0 {
			return sending[i], nil
		}
	}
	switch len(sending) {
	case 0:
		return "", &exitError{withCure(errors.New("no account sends"), "add one with `waxseal account add ADDRESS`"), exConfig}
	case 1:
		return sending[0], nil
	}
	return "", &exitError{withCure(fmt.Errorf("there are several accounts, and neither -f nor From names one of them (-f %q, From %q)", call.from, msg.from()),
		"choose one with -f: "+strings.Join(sending, ", ")), exConfig}
}
