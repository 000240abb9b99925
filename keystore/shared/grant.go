package shared

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"time"

	"github.com/waxseal/waxseal/keystore"
)

// Grant is what the machines share of an account's authorization. It is also the lock on its refresh: see Claim.
type Grant struct {
	// Gen counts the refresh tokens, of each consent and each rotation. Whoever has a token of generation n
	// knows that it is out of date when the record has another.
	Gen     uint64 `json:"gen"`
	Refresh string `json:"refresh,omitempty"` // with its origin and scopes, as package oauth keeps it; "" if there is none
	Client  string `json:"client,omitempty"`  // the client ID that the provider gave it to; "" while nobody knows

	Access   string    `json:"access,omitempty"`
	Got      time.Time `json:"got,omitzero"`   // when it was asked for
	Life     int64     `json:"life,omitempty"` // seconds from then
	SignedIn string    `json:"signed_in,omitempty"`
	Right    string    `json:"right,omitempty"` // of the program itself, which Access came of; "" if it came of Refresh

	NotBefore time.Time `json:"not_before,omitzero"` // the provider wants no request before, with this Right or Refresh
	Consent   *Consent  `json:"consent,omitempty"`   // the provider took back what Refresh stands for
	Claim     *Claim    `json:"claim,omitempty"`     // somebody is asking the provider
}

// Consent is why only the account's user can help.
type Consent struct {
	Reason string `json:"reason"`
	Code   string `json:"code,omitempty"`
	Text   string `json:"text,omitempty"` // the provider's, without secrets
}

// Claim says that a machine asks the provider for the account. It holds until it is taken out of the record. The
// machine changes Beat every few seconds for as long as it waits: a claim that does not change is one whose
// machine was stopped or cut off. A limit of time in the record would not do: the provider takes no notice
// of it, and a token that is sent twice can end the consent.
type Claim struct {
	By      string `json:"by"`      // the machine's name, for people
	Process string `json:"process"` // see Store.Process
	Beat    int    `json:"beat"`
}

// NextGen is the generation of another consent. A removed account may come back: its generations are never those
// of before.
func (g Grant) NextGen() uint64 { return max(g.Gen+1, uint64(time.Now().Unix())) } // #nosec G115 -- not negative

const grantPrefix = "grant/"

// GrantKey is the record of an account, by its folded address.
func GrantKey(account string) string { return grantPrefix + account }

// Grant is an account's record as it is in memory; its zero value and revision 0 if there is none.
func (s *Store) Grant(account string) (g Grant, revision int64, err error) {
	revision, err = s.Load(GrantKey(account), &g)
	return g, revision, err
}

// ReadGrant is Grant, asking the engine.
func (s *Store) ReadGrant(ctx context.Context, account string) (g Grant, revision int64, err error) {
	if _, err := s.Read(ctx, GrantKey(account)); err != nil {
		return g, 0, err
	}
	return s.Grant(account)
}

// SwapGrant is Save of an account's record.
func (s *Store) SwapGrant(ctx context.Context, account string, g Grant, revision int64) (int64, error) {
	return s.Save(ctx, GrantKey(account), g, revision)
}

// putBack writes what the engine has lost and this machine has in memory: newer tokens, and the claims of refreshes
// that may still be going on. It puts them into now, too. The error is the engine's.
func (s *Store) putBack(ctx context.Context, known, now map[string]Record) error {
	for key, was := range known {
		for {
			is, there := now[key]
			if !strings.HasPrefix(key, grantPrefix) || !there || was.Value == nil || is.Revision >= was.Revision {
				break // a record that was written later is not one that was lost, whatever its generation
			}
			var before, after Grant
			if json.Unmarshal(was.Value, &before) != nil || json.Unmarshal(is.Value, &after) != nil {
				break
			}
			asking := before.Gen == after.Gen && before.Claim != nil && after.Claim == nil
			if before.Gen <= after.Gen && !asking {
				break
			}
			value, err := merge(is.Value, before)
			if err != nil {
				break
			}
			r, err := s.write(ctx, key, value, is.Revision)
			switch {
			case err == nil:
				s.log.Warn("wrote back a token that the engine had lost", "key", key)
				now[key] = Record{key, value, r.Revision}
				continue // and that is it
			case !errors.Is(err, ErrChanged):
				return keystore.Failed(keystore.EtcdKind, "write", key, err)
			}
			// Another machine was faster, with the same token or another one.
			if r, err = s.decrypt(r); err != nil || r.Value == nil {
				break
			}
			now[key] = r
		}
	}
	return nil
}
