package proxy

import (
	"context"
	"errors"

	"github.com/waxseal/waxseal/proxy/api"
)

// ReadTest logs in to the provider's server for reading as a mail program's session would, and
// reports each stage.
func (s *Server) ReadTest(ctx context.Context, address string, protocol api.Protocol, report func(api.Check)) error {
	return errors.New("not yet")
}
