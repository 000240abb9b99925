package api

import "time"

// The names of checks.
const (
	CheckVersion      = "version"
	CheckConfig       = "configuration"
	CheckKeystore     = "keystore"
	CheckEtcd         = "etcd" // and the machines that share accounts in it
	CheckPorts        = "ports"
	CheckCertificate  = "certificate" // of the configuration's [tls]
	CheckBalancers    = "balancers"   // of the configuration's [proxy_protocol]
	CheckCrashes      = "crashes"
	CheckAccounts     = "accounts"
	CheckReach        = "reach"          // the connection to a server; Subject is host:port
	CheckRegistration = "registration"   // of an account's provider
	CheckPassword     = "local password" // of an account
	CheckConsent      = "consent"
	CheckToken        = "token"
	CheckLogin        = "login" // at the mail server
	CheckRecipient    = "recipient"
	CheckMessage      = "message"
	CheckFolders      = "folders"  // an IMAP account's; Subject is the account
	CheckMaildrop     = "maildrop" // how many messages a POP account has
)

// CheckNames are all names of checks.
var CheckNames = []string{
	CheckVersion, CheckConfig, CheckKeystore, CheckEtcd, CheckPorts, CheckCertificate, CheckBalancers, CheckCrashes, CheckAccounts, CheckReach,
	CheckRegistration, CheckPassword, CheckConsent, CheckToken, CheckLogin, CheckRecipient, CheckMessage, CheckFolders, CheckMaildrop,
}

// Check is the result of one check of `waxseal doctor` or `waxseal send-test`. It contains
// no secret, so it may be part of a bug report.
type Check struct {
	Name    string `json:"name"`              // one of CheckNames
	Subject string `json:"subject,omitempty"` // the account or the server, if there may be several
	// Protocol tells checks of several protocols apart; "" where there is only one.
	Protocol Protocol      `json:"protocol,omitempty"`
	OK       bool          `json:"ok"`
	Result   Text          `json:"result"`            // what was found; with a Problem, what failed
	Problem  *Problem      `json:"problem,omitempty"` // if it is not OK
	Until    time.Time     `json:"until,omitzero"`    // when the result expires, such as an access token
	Took     time.Duration `json:"took_ns"`
}

// Title names the check for people.
func (c Check) Title() Text {
	title := map[string]Text{
		CheckVersion:      Say("Version"),
		CheckConfig:       Say("Configuration"),
		CheckKeystore:     Say("Keystore"),
		CheckEtcd:         Say("etcd"),
		CheckPorts:        Say("Ports"),
		CheckCertificate:  Say("Certificate"),
		CheckBalancers:    Say("Load balancers"),
		CheckCrashes:      Say("Crash reports"),
		CheckAccounts:     Say("Accounts"),
		CheckReach:        Say("Connection"),
		CheckRegistration: Say("Registration"),
		CheckPassword:     Say("Local password"),
		CheckConsent:      Say("Sign-in"),
		CheckToken:        Say("Access token"),
		CheckLogin:        Say("Mail server sign-in"),
		CheckRecipient:    Say("Recipient"),
		CheckMessage:      Say("Message"),
		CheckFolders:      Say("Folders"),
		CheckMaildrop:     Say("Messages"),
	}[c.Name]
	if title.IsZero() {
		return Say("{{.Name}}", "Name", c.Name)
	}
	return title
}

// Line is the check in English: its title, what it is about, and its result.
func (c Check) Line() string {
	line := c.Title().String()
	switch {
	case c.Subject != "" && c.Protocol != "":
		line += " (" + c.Protocol.Label().String() + ", " + c.Subject + ")"
	case c.Subject != "":
		line += " (" + c.Subject + ")"
	case c.Protocol != "":
		line += " (" + c.Protocol.Label().String() + ")"
	}
	if c.Problem != nil {
		return line + ": " + c.Problem.Summary()
	}
	return line + ": " + c.Result.String()
}
