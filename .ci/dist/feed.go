package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/waxseal/waxseal/proxy/updates"
)

// feed writes the feed that tells running programs of a release: one line of JSON and minisign's
// signature of it, made with MINISIGN_KEY. The programs' own code must accept it with UPDATE_KEY, which is
// built into them.
func feed(version, file string) error {
	if strings.Contains(version, "-") {
		return fmt.Errorf("%s is a pre-release, which is not announced", version)
	}
	key := os.Getenv("UPDATE_KEY")
	if key == "" {
		return errors.New("UPDATE_KEY is not set, so no program reads a feed")
	}
	number := strings.TrimPrefix(version, "v")
	line, err := json.Marshal(updates.Feed{Version: number, Page: "https://github.com/waxseal/waxseal/releases/tag/v" + number})
	if err != nil {
		return err
	}
	line = append(line, '\n')
	signature, err := signature(line, "waxseal "+number)
	if err != nil {
		return err
	}
	data := append(line, signature...)
	if _, err := updates.Parse(data, key); err != nil {
		return err
	}
	return os.WriteFile(file, data, 0o644)
}
