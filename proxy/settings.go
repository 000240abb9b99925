package proxy

import "path/filepath"

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

func logFolder(file string) string {
	if file == "" {
		return ""
	}
	return filepath.Dir(file)
}
