package main

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/waxseal/waxseal/keystore/safeio"
	"github.com/waxseal/waxseal/ui/programs"
)

// thunderbird is the name of the program whose file is not made of lines that could stand between two
// comments: Thunderbird writes prefs.js anew whenever it ends.
const thunderbird = "thunderbird"

// thunderbirdFolders are where Thunderbird keeps profiles.ini, as its support pages say ("Profiles -
// Where Thunderbird stores user data"), and where Debian, Snap and Flatpak do.
func thunderbirdFolders(goos, home string, getenv func(string) string) []string {
	switch goos {
	case "windows":
		return []string{filepath.Join(getenv("APPDATA"), "Thunderbird")}
	case "darwin":
		return []string{filepath.Join(home, "Library", "Thunderbird")}
	}
	return []string{
		filepath.Join(home, ".thunderbird"),
		filepath.Join(home, "snap", "thunderbird", "common", ".thunderbird"),
		filepath.Join(home, ".var", "app", "org.mozilla.Thunderbird", ".thunderbird"),
	}
}

// thunderbirdProfiles are the folders of the profiles that Thunderbird has used: those with a prefs.js.
func (m *Main) thunderbirdProfiles() (found []string, err error) {
	home, err := os.UserHomeDir()
	if err != nil {
		return nil, withCure(fmt.Errorf("find your home folder: %w", err), "set HOME")
	}
	folders := thunderbirdFolders(runtime.GOOS, home, m.Getenv)
	for _, folder := range folders {
		for _, profile := range readProfiles(folder) {
			if _, err := os.Stat(filepath.Join(profile, "prefs.js")); err == nil {
				found = append(found, profile)
			}
		}
	}
	if len(found) == 0 {
		return nil, withCure(fmt.Errorf("there is no profile of Thunderbird in %s", strings.Join(folders, ", ")), "start Thunderbird once and close it, then run this again")
	}
	return found, nil
}

// readProfiles reads profiles.ini.
func readProfiles(folder string) (all []string) {
	file, err := os.Open(filepath.Join(folder, "profiles.ini"))
	if err != nil {
		return nil
	}
	defer file.Close()
	section, path, relative := "", "", true
	add := func() {
		if strings.HasPrefix(section, "[Profile") && path != "" {
			if relative {
				path = filepath.Join(folder, filepath.FromSlash(path))
			}
			all = append(all, path)
		}
		path, relative = "", true
	}
	for lines := bufio.NewScanner(file); lines.Scan(); {
		line := strings.TrimSpace(lines.Text())
		key, value, _ := strings.Cut(line, "=")
		switch {
		case strings.HasPrefix(line, "["):
			add()
			section = line
		case key == "Path":
			path = value
		case key == "IsRelative":
			relative = value != "0"
		}
	}
	add()
	return all
}

// eachProfile changes the prefs.js of each profile. Thunderbird must not run: it would write over it.
func (s *setup) eachProfile(change func(profile string, f edit) error) error {
	profiles, err := s.m.thunderbirdProfiles()
	if err != nil {
		return err
	}
	for _, profile := range profiles {
		if profileInUse(profile) {
			return withCure(fmt.Errorf("the profile %s is in use by Thunderbird", filepath.Base(profile)), "close Thunderbird, then run this again")
		}
	}
	for _, profile := range profiles {
		f, err := openEdit(filepath.Join(profile, "prefs.js"))
		if err != nil {
			return err
		}
		if err := change(profile, f); err != nil {
			return err
		}
	}
	return nil
}

// kept are the files beside a prefs.js that --undo needs: it as it was before an account was added, and
// after.
func (s *setup) kept(f edit) (before, after edit, err error) {
	before, err = openEdit(f.path + ".before-waxseal-" + s.address)
	if err == nil {
		after, err = openEdit(f.path + ".after-waxseal-" + s.address)
	}
	before.mode, after.mode = f.mode, f.mode
	return before, after, err
}

// writeThunderbird adds the account's servers to each profile, in place of those that it added before.
func (s *setup) writeThunderbird() error {
	if missing := s.program.Missing(s.values); missing != "" {
		return s.cannot(fmt.Errorf("%s needs %s, which the account does not do", s.program.Title, missing))
	}
	return s.eachProfile(func(profile string, f edit) error {
		before, after, err := s.kept(f)
		if err != nil {
			return err
		}
		text := f.text
		if before.there {
			text = programs.WithoutThunderbird(text, before.text, after.text)
		}
		written := programs.Thunderbird(text, s.values)
		if written == f.text || written == text {
			s.m.say("%s is set up already in the profile %s", s.program.Title, filepath.Base(profile))
			return nil
		}
		for _, e := range []struct {
			edit
			text string
		}{{before, text}, {after, written}, {f, written}} {
			if err := safeio.Replace(e.path, []byte(e.text), e.mode); err != nil {
				return err
			}
		}
		s.m.say("added %s to the profile %s; Thunderbird asks for the password once, which `waxseal account password %s --only` prints", s.address, filepath.Base(profile), s.address)
		return nil
	})
}

func (s *setup) undoThunderbird() error {
	undone := 0
	err := s.eachProfile(func(profile string, f edit) error {
		before, after, err := s.kept(f)
		if err != nil || !before.there {
			return err
		}
		text := programs.WithoutThunderbird(f.text, before.text, after.text)
		if err := safeio.Replace(f.path, []byte(text), f.mode); err != nil {
			return err
		}
		undone++
		s.m.say("took %s out of the profile %s", s.address, filepath.Base(profile))
		return errors.Join(os.Remove(before.path), os.Remove(after.path))
	})
	if err == nil && undone == 0 {
		err = fmt.Errorf("%s is not set up for %s by Waxseal in any profile", s.program.Title, s.address)
	}
	return err
}
