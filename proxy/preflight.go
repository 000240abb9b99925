package proxy

import (
	"context"
	"errors"

	"github.com/waxseal/waxseal/proxy/api"
	"github.com/waxseal/waxseal/proxy/config"
	"github.com/waxseal/waxseal/proxy/mailbox"
)

// Preflight says what is needed to add an account, or to sign in again for one that exists.
// It fails if the address is not an email address, and if the provider does not support
// OAuth; the error then says what to do instead.
func (s *Server) Preflight(ctx context.Context, a api.Account) (api.Preflight, error) {
	if b := s.hall.Mailbox(a.Address); b != nil {
		out := preflightOf(b.Provider)
		out.There = true
		return out, nil
	}
	// Nobody should register a program and sign in only to learn that nothing can be stored.
	if err := s.secrets.Ready(ctx); err != nil {
		s.hall.Changed.Wake()
		if p := mailbox.ExplainAlone(err); p != nil {
			return api.Preflight{}, p
		}
		return api.Preflight{}, err
	}
	cfg := s.config()
	if a.Provider == "" {
		found, err := cfg.Discover(ctx, a.Address)
		if unknown, ok := errors.AsType[*config.UnknownProviderError](err); ok {
			return api.Preflight{Unknown: unknown.Problem, Choices: unknown.Choices}, nil
		}
		if err != nil {
			return api.Preflight{}, err
		}
		a.Provider = found.ID
	}
	if err := config.CheckAddress(a.Address); err != nil {
		return api.Preflight{}, &api.Problem{Account: a.Address, Lasting: true, What: api.Say("The address {{.Why}}.", "Why", err.Error())}
	}
	p, err := cfg.Resolve(a)
	if err != nil {
		return api.Preflight{}, err
	}
	return preflightOf(p), nil
}

func preflightOf(p config.Provider) api.Preflight {
	errors, _ := p.PageErrors()
	var offers []api.Protocol
	for _, protocol := range api.Protocols {
		if address, _ := p.Server(protocol); address != "" {
			offers = append(offers, protocol)
		}
	}
	return api.Preflight{
		Protocols: offers, ReadingScopes: len(p.IMAPScopes)+len(p.POPScopes) > 0,
		Provider: p.ID, Name: p.Name, Device: p.DeviceURL != "" && p.Grant == "", NoSignIn: p.Grant != "",
		ClientID: p.ClientID, NoClientID: p.ClientID == "", Registration: p.Registration(), PageErrors: errors,
	}
}
