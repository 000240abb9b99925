package shared

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/waxseal/waxseal/keystore/safeio"
)

// spilled is a grant that the provider has given and the engine could not take, in a file of its own.
type spilled struct {
	Account  string `json:"account"`
	Ancestor uint64 `json:"ancestor"` // the generation that it takes the place of
	Consent  bool   `json:"consent"`  // it is a new consent, which takes the place of whatever is older
	Grant    Grant  `json:"grant"`
}

// replaces reports whether the grant is newer than the record, which may be none.
func (k spilled) replaces(r Record) bool {
	var now Grant
	switch {
	case r.Value == nil || json.Unmarshal(r.Value, &now) != nil:
		return k.Consent
	case k.Consent:
		return now.Gen < k.Grant.Gen
	}
	return now.Gen == k.Ancestor
}

const spillPattern = "unsaved-*.age"

func (s *Store) spillPath(account string) string {
	sum := sha256.Sum256([]byte(account))
	return filepath.Join(s.o.Folder, "unsaved-"+hex.EncodeToString(sum[:8])+".age")
}

// Spill keeps a grant in an encrypted file until the next start, or until Spilled says that the engine has it. It takes
// the place of the generation ancestor alone, or of all older ones if a consent brought it.
func (s *Store) Spill(account string, ancestor uint64, consent bool, g Grant) error {
	if s.o.Folder == "" {
		return errNoFolder
	}
	if !s.IsLoaded() { // there may be no key yet
		return s.notLoaded()
	}
	text, err := json.Marshal(spilled{account, ancestor, consent, g})
	if err != nil {
		return err
	}
	s.mu.RLock()
	k := s.key
	s.mu.RUnlock()
	data, err := k.Encrypt(text)
	if err != nil {
		return fmt.Errorf("encrypt the new token of %s: %w", account, err)
	}
	return safeio.Replace(s.spillPath(account), data, 0o600)
}

// Spilled removes what Spill has kept.
func (s *Store) Spilled(account string) {
	if s.o.Folder != "" {
		_ = os.Remove(s.spillPath(account)) // it is out of date by its generation, too
	}
}

// Superseded reports whether a consent of generation gen, which the engine could not take when it was given, is out of
// date: there is a newer one, or the account was removed. now is the record by this revision.
func (s *Store) Superseded(ctx context.Context, account string, gen uint64, now Grant, revision int64) (bool, error) {
	if revision != 0 {
		return now.Gen >= gen, nil
	}
	r, err := s.Read(ctx, AccountPrefix+account)
	return r.Value == nil, err
}

// Pending is a consent that an earlier start has kept in a file, and that the engine still did not take. It is told once;
// the file stays until Spilled.
func (s *Store) Pending(account string) (g Grant, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	g, ok = s.pending[account]
	delete(s.pending, account)
	return g, ok
}

// publishSpilled gives the engine what an earlier start could not give it, unless there is another
// generation since. An error is the engine's: until it has a rotated token, nobody here should use the one before.
func (s *Store) publishSpilled(ctx context.Context) error {
	if s.o.Folder == "" {
		return nil
	}
	files, _ := filepath.Glob(filepath.Join(s.o.Folder, spillPattern)) // the pattern is right
	for _, file := range files {
		err := s.publishFile(ctx, file)
		if err != nil {
			s.log.Error("a token that was kept in a file could not be stored", "file", file, "err", err)
		}
		if errors.Is(err, errNotPublished) {
			return err
		}
	}
	return nil
}

var (
	errNotPublished = errors.New("the engine did not take it")
	errNoFolder     = errors.New("there is no folder for it")
)

func (s *Store) publishFile(ctx context.Context, file string) error {
	data, err := safeio.ReadFile(file)
	if err != nil {
		return err
	}
	s.mu.RLock()
	k := s.key
	s.mu.RUnlock()
	plain, err := k.Decrypt(data)
	if err != nil {
		return err
	}
	var kept spilled
	if err := json.Unmarshal(plain, &kept); err != nil {
		return errors.New("it is damaged") // the error's text may quote a secret
	}
	key := GrantKey(kept.Account)
	for {
		s.mu.RLock()
		r, damaged := s.records[key], s.damaged[key] // the records are not open to others yet
		account := s.records[AccountPrefix+kept.Account]
		s.mu.RUnlock()
		if r.Value == nil && !damaged {
			r.Revision = 0
		}
		if !kept.replaces(r) || r.Value == nil && account.Value == nil { // the account may be gone
			return os.Remove(file)
		}
		kept.Grant.Claim = nil
		value, err := merge(r.Value, kept.Grant)
		if err != nil {
			return err
		}
		_, err = s.swap(ctx, key, value, r.Revision)
		switch {
		case err == nil:
			s.log.Info("stored a token that was kept in a file", "account", kept.Account)
			return os.Remove(file)
		case !errors.Is(err, ErrChanged) && kept.Consent: // the one before does no harm, and other accounts need not wait
			s.mu.Lock()
			s.pending[kept.Account] = kept.Grant
			s.mu.Unlock()
			return err
		case !errors.Is(err, ErrChanged):
			return fmt.Errorf("%w: %w", errNotPublished, err)
		}
	}
}
