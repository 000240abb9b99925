package api

// Settings are the parts of the configuration that the settings window shows
// and changes. An address is host:port.
type Settings struct {
	Listen    []string `json:"listen"`
	ListenTLS []string `json:"listen_tls"`
	Metrics   string   `json:"metrics"`  // "" turns it off
	Keystore  string   `json:"keystore"` // "system" or "file"; changed by moving the secrets, not by Configure
	// HTTPProxy is the URL of the proxy through which providers are reached,
	// tokens and mail alike ("http://proxy.corp.example:3128"); "" goes by the
	// environment (HTTPS_PROXY).
	HTTPProxy     string `json:"http_proxy"`
	LogLevel      string `json:"log_level"`  // "debug", "info", "warn" or "error"
	LogFolder     string `json:"log_folder"` // where the log is, "" for no file; not changed by Configure
	LogFile       string `json:"log_file"`   // the file itself
	Notifications bool   `json:"notifications"`
}

// MailSettings is what somebody enters in a mail program.
type MailSettings struct {
	User     string       `json:"user"`
	Password string       `json:"password"`
	Servers  []MailServer `json:"servers"`
}

// MailServer is one way to reach the proxy.
type MailServer struct {
	Protocol string `json:"protocol"` // "smtp"
	Host     string `json:"host"`
	Port     int    `json:"port"`
	TLS      bool   `json:"tls"` // from the first byte; else STARTTLS or, on loopback, none
}

// Certificate is the certificate for local TLS, for mail programs and people
// to trust.
type Certificate struct {
	PEM         string `json:"pem"` // the certificate alone, never its key
	File        string `json:"file,omitempty"`
	Fingerprint string `json:"fingerprint"` // SHA-256, hex in pairs with colons
	NotAfter    string `json:"not_after"`   // RFC 3339
}
