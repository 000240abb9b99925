package proxy

import (
	"path/filepath"
	"time"

	"github.com/waxseal/waxseal/proxy/api"
)

// Activity lists what happened since the event whose Seq is after (0 for all), oldest first and
// at most the newest thousand.
func (s *Server) Activity(after uint64) []api.Activity { return s.history.After(after) }

// failuresShown are the failures of the last failuresFor that a snapshot lists.
const (
	failuresShown = 5
	failuresFor   = time.Hour
)

// historyPath is the file of the history, next to the configuration: each instance has one of
// its own.
func historyPath(config string) string {
	if config == "" {
		return ""
	}
	return filepath.Join(filepath.Dir(config), "history.jsonl")
}
