package updates

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"

	"aead.dev/minisign"
)

// maxFeed bounds the feed, in bytes.
const maxFeed = 16 << 10

// Feed is what the feed says: the newest release.
type Feed struct {
	Version string `json:"version"` // "1.2.0"
	Page    string `json:"page"`    // https
}

// Parse checks a feed and reads it. Its first line is a [Feed] in JSON. What follows is minisign's
// signature of that line, line end included: `minisign -Sm line && cat line line.minisig`. key is the
// public key, as the second line of minisign.pub.
func Parse(data []byte, key string) (Feed, error) {
	var public minisign.PublicKey
	if err := public.UnmarshalText([]byte(key)); err != nil {
		return Feed{}, fmt.Errorf("the key that this program was built with: %w", err)
	}
	if len(data) > maxFeed {
		return Feed{}, fmt.Errorf("the feed is larger than %d bytes", maxFeed)
	}
	end := bytes.IndexByte(data, '\n') + 1
	line, signature := data[:end], bytes.TrimSpace(data[end:])
	if !minisign.Verify(public, line, signature) {
		return Feed{}, errors.New("the feed's signature is not valid")
	}
	var f Feed
	if err := json.Unmarshal(line, &f); err != nil {
		return Feed{}, fmt.Errorf("the feed: %w", err)
	}
	if _, ok := parseVersion(f.Version); !ok {
		return Feed{}, fmt.Errorf("the feed: %q is not a version", f.Version)
	}
	if u, err := url.Parse(f.Page); err != nil || u.Scheme != "https" || u.Host == "" {
		return Feed{}, fmt.Errorf("the feed: %q is not the address of a page", f.Page)
	}
	return f, nil
}
