package api

// Settings are the parts of the configuration that the settings page shows and changes.
// Addresses are host:port.
type Settings struct {
	Listen    []string `json:"listen"`
	ListenTLS []string `json:"listen_tls"`
	Metrics   string   `json:"metrics"`  // "" turns them off
	Keystore  string   `json:"keystore"` // "system" or "file"; MoveSecrets changes it, Configure does not
	// HTTPProxy is the URL of the proxy through which providers are reached, for
	// tokens and mail ("http://proxy.corp.example:3128"); "" means the one of the
	// environment (HTTPS_PROXY).
	HTTPProxy     string `json:"http_proxy"`
	LogLevel      string `json:"log_level"`  // "debug", "info", "warn" or "error"
	LogFolder     string `json:"log_folder"` // the folder of the log file, "" if there is none; Configure does not change it
	LogFile       string `json:"log_file"`   // the log file itself
	Notifications bool   `json:"notifications"`
}

// MailSettings are the settings to enter in a mail program.
type MailSettings struct {
	User     string       `json:"user"`
	Password string       `json:"password"`
	Servers  []MailServer `json:"servers"`
}

// MailServer is one way to reach Waxseal.
type MailServer struct {
	Protocol string `json:"protocol"` // "smtp"
	Host     string `json:"host"`
	Port     int    `json:"port"`
	TLS      bool   `json:"tls"` // from the first byte; else STARTTLS or, on loopback, none
}

// Certificate is the certificate for local TLS, which mail programs and people must trust.
type Certificate struct {
	PEM         string `json:"pem"` // the certificate alone, never its key
	File        string `json:"file,omitempty"`
	Fingerprint string `json:"fingerprint"` // SHA-256, hex in pairs with colons
	NotAfter    string `json:"not_after"`   // RFC 3339
}
