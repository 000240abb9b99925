package proxy

import (
	"context"
	"errors"
)

// Prospect is what an account's consent takes, known before anything is asked
// for or written.
type Prospect struct {
	// The provider, or "" where only the user can tell it: Unknown says why, and
	// Choices has those there are.
	Provider string   `json:"provider,omitempty"`
	Name     string   `json:"name,omitempty"` // for people
	Unknown  string   `json:"unknown,omitempty"`
	Choices  []Choice `json:"choices,omitempty"`

	There    bool `json:"there,omitempty"`      // the account is there already
	NoSignIn bool `json:"no_sign_in,omitempty"` // an administrator has consented for all
	Device   bool `json:"device,omitempty"`     // there is a sign-in by code (RFC 8628)

	// NoClientID says that the provider does not know this program yet, and
	// Registration how to change that.
	NoClientID   bool         `json:"no_client_id,omitempty"`
	Registration Registration `json:"registration"`
}

// Choice is a provider to choose.
type Choice struct {
	ID   string `json:"id"`
	Name string `json:"name"`
}

// Prospect tells what it takes to add an account, or to have one that is there
// approved again. It fails for an address that cannot be one, and where the
// provider takes no OAuth; the error then says what to do instead.
func (s *Server) Prospect(ctx context.Context, a Account) (Prospect, error) {
	if b := s.mailbox(a.Address); b != nil {
		out := prospectOf(b.provider)
		out.There = true
		return out, nil
	}
	cfg := s.config()
	if a.Provider == "" {
		found, err := cfg.Discover(ctx, a.Address)
		if errors.Is(err, ErrNoProvider) {
			return Prospect{Unknown: err.Error(), Choices: cfg.catalogue().choices()}, nil
		}
		if err != nil {
			return Prospect{}, err
		}
		a.Provider = found.ID
	}
	if err := checkAddress(a.Address); err != nil {
		return Prospect{}, &finding{text: "the address " + err.Error()}
	}
	p, err := cfg.Resolve(a)
	if err != nil {
		return Prospect{}, err
	}
	return prospectOf(p), nil
}

func prospectOf(p Provider) Prospect {
	return Prospect{
		Provider: p.ID, Name: p.Name, Device: p.DeviceURL != "" && p.Grant == "", NoSignIn: p.Grant != "",
		NoClientID: p.ClientID == "", Registration: p.Registration(),
	}
}

// choices are the providers that can be used, in the catalogue's order.
func (l providers) choices() []Choice {
	var list []Choice
	for _, p := range l {
		if p.NoOAuth == "" {
			list = append(list, Choice{p.ID, p.Name})
		}
	}
	return list
}
