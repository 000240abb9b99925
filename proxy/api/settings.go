package api

import "slices"

// Settings are the parts of the configuration that the settings page shows and changes.
// Addresses are host:port.
type Settings struct {
	Listen    []string `json:"listen"`
	ListenTLS []string `json:"listen_tls"`
	// Of programs that read mail; opened only while an account does that protocol.
	ListenIMAP    []string `json:"listen_imap"`
	ListenIMAPTLS []string `json:"listen_imap_tls"`
	ListenPOP     []string `json:"listen_pop"`
	ListenPOPTLS  []string `json:"listen_pop_tls"`
	// AllowRemote allows addresses that other computers reach; these ask for TLS before a login.
	AllowRemote bool `json:"allow_remote"`
	// Networks are this computer's addresses in its networks, with the length of the network's
	// prefix ("192.168.1.20/24"), the one that leads out first. Configure does not change them.
	Networks []string `json:"networks,omitempty"`
	// Firewall is a command that opens the ports for other computers to this computer's
	// network, "" if there are none or the system has no such command. Configure does not run it.
	Firewall string `json:"firewall,omitempty"`
	Metrics  string `json:"metrics"`  // "" turns them off
	Keystore string `json:"keystore"` // "system" or "file"; MoveSecrets changes it, Configure does not
	// HTTPProxy is the URL of the proxy through which providers are reached, for
	// tokens and mail ("http://proxy.corp.example:3128"); "" means the one of the
	// environment (HTTPS_PROXY).
	HTTPProxy     string `json:"http_proxy"`
	LogLevel      string `json:"log_level"`  // "debug", "info", "warn" or "error"
	LogFolder     string `json:"log_folder"` // the folder of the log file, "" if there is none; Configure does not change it
	LogFile       string `json:"log_file"`   // the log file itself
	Notifications bool   `json:"notifications"`
	History       bool   `json:"history"`  // keep the last events in a file
	Theme         string `json:"theme"`    // of the window: "system", "light" or "dark"
	Language      string `json:"language"` // of window, tray and notifications: "system", "en" or "de"
}

// SettingsChange changes some settings: nil leaves a setting as it is. Two windows or
// programs that each change another setting do not undo each other's change.
type SettingsChange struct {
	Listen        *[]string `json:"listen,omitempty"`
	ListenTLS     *[]string `json:"listen_tls,omitempty"`
	ListenIMAP    *[]string `json:"listen_imap,omitempty"`
	ListenIMAPTLS *[]string `json:"listen_imap_tls,omitempty"`
	ListenPOP     *[]string `json:"listen_pop,omitempty"`
	ListenPOPTLS  *[]string `json:"listen_pop_tls,omitempty"`
	AllowRemote   *bool     `json:"allow_remote,omitempty"`
	Metrics       *string   `json:"metrics,omitempty"`
	Keystore      *string   `json:"keystore,omitempty"`
	HTTPProxy     *string   `json:"http_proxy,omitempty"`
	LogLevel      *string   `json:"log_level,omitempty"`
	Notifications *bool     `json:"notifications,omitempty"`
	History       *bool     `json:"history,omitempty"`
	Theme         *string   `json:"theme,omitempty"`
	Language      *string   `json:"language,omitempty"`
}

// Change is what to changes in s.
func (s Settings) Change(to Settings) (c SettingsChange) {
	list := func(is, to []string) *[]string {
		if slices.Equal(is, to) {
			return nil
		}
		return new(append([]string{}, to...)) // JSON has null for a nil list, which would be no change
	}
	word := func(is, to string) *string {
		if is == to {
			return nil
		}
		return &to
	}
	c.Listen, c.ListenTLS = list(s.Listen, to.Listen), list(s.ListenTLS, to.ListenTLS)
	c.ListenIMAP, c.ListenIMAPTLS = list(s.ListenIMAP, to.ListenIMAP), list(s.ListenIMAPTLS, to.ListenIMAPTLS)
	c.ListenPOP, c.ListenPOPTLS = list(s.ListenPOP, to.ListenPOP), list(s.ListenPOPTLS, to.ListenPOPTLS)
	c.Metrics, c.Keystore = word(s.Metrics, to.Metrics), word(s.Keystore, to.Keystore)
	c.HTTPProxy, c.LogLevel = word(s.HTTPProxy, to.HTTPProxy), word(s.LogLevel, to.LogLevel)
	c.Theme, c.Language = word(s.Theme, to.Theme), word(s.Language, to.Language)
	if s.Notifications != to.Notifications {
		c.Notifications = &to.Notifications
	}
	if s.History != to.History {
		c.History = &to.History
	}
	if s.AllowRemote != to.AllowRemote {
		c.AllowRemote = &to.AllowRemote
	}
	return c
}

// MailSettings are the settings to enter in a mail program.
type MailSettings struct {
	User     string       `json:"user"`
	Password string       `json:"password"`
	Servers  []MailServer `json:"servers"`
}

// MailServer is one way to reach Waxseal.
type MailServer struct {
	Protocol Protocol `json:"protocol"`
	Host     string   `json:"host"`
	Port     int      `json:"port"`
	TLS      bool     `json:"tls"` // from the first byte; else STARTTLS or, on loopback, none
}

// Certificate is the certificate for local TLS, which mail programs and people must trust.
type Certificate struct {
	PEM         string `json:"pem"` // the certificate alone, never its key
	File        string `json:"file,omitempty"`
	Fingerprint string `json:"fingerprint"` // SHA-256, hex in pairs with colons
	NotAfter    string `json:"not_after"`   // RFC 3339
}
