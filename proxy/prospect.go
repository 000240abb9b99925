package proxy

import (
	"context"
	"errors"
)

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
