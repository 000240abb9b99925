package etcd

import (
	"context"
	"errors"
	"sync"

	"go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	"google.golang.org/grpc"
)

// login is a user of etcd's own. It logs in when a call needs it, and again when etcd does not know the login any more:
// five minutes after the last call, or after a restart.
//
// The client of etcd has the same, but logs in when it is made, so that a program could not start while etcd is
// away; and with etcd 3.4, which refuses to renew a login that a call with the old one asks for, it asks without
// end.
type login struct {
	user, password string
	renewing       chan struct{} // of capacity 1: held to log in

	mu    sync.Mutex
	token string
	none  bool // etcd asks nobody for a password
}

func newLogin(user, password string) *login {
	return &login{user: user, password: password, renewing: make(chan struct{}, 1)}
}

// options have a client's calls made with the login.
func (l *login) options() []grpc.DialOption {
	return []grpc.DialOption{grpc.WithPerRPCCredentials(l), grpc.WithChainUnaryInterceptor(l.call), grpc.WithChainStreamInterceptor(l.stream)}
}

// loggingIn marks the context of a login, which must not show the login before.
type loggingIn struct{}

// GetRequestMetadata is for grpc.
func (l *login) GetRequestMetadata(ctx context.Context, _ ...string) (map[string]string, error) {
	if token, _ := l.now(); token != "" && ctx.Value(loggingIn{}) == nil {
		return map[string]string{rpctypes.TokenFieldNameGRPC: token}, nil
	}
	return nil, nil
}

// RequireTransportSecurity is for grpc. Whether etcd is reached by TLS is the configuration's matter.
func (l *login) RequireTransportSecurity() bool { return false }

func (l *login) now() (token string, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.token, l.token != "" || l.none
}

// call makes a call, and once more after a new login if etcd does not know this one.
func (l *login) call(ctx context.Context, method string, request, reply any, c *grpc.ClientConn, do grpc.UnaryInvoker, opts ...grpc.CallOption) error {
	if ctx.Value(loggingIn{}) != nil {
		return do(ctx, method, request, reply, c, opts...)
	}
	used, ok := l.now()
	if !ok {
		if err := l.renew(ctx, c, used); err != nil {
			return err
		}
		used, _ = l.now()
	}
	err := do(ctx, method, request, reply, c, opts...)
	if !unknown(err) {
		return err
	}
	if err := l.renew(ctx, c, used); err != nil {
		return err
	}
	return do(ctx, method, request, reply, c, opts...)
}

// stream begins a watch. One that etcd refuses ends, and the list before the next one logs in.
func (l *login) stream(ctx context.Context, d *grpc.StreamDesc, c *grpc.ClientConn, method string, do grpc.Streamer, opts ...grpc.CallOption) (grpc.ClientStream, error) {
	if used, ok := l.now(); !ok {
		if err := l.renew(ctx, c, used); err != nil {
			return nil, err
		}
	}
	return do(ctx, d, c, method, opts...)
}

// unknown reports whether an error says that etcd does not know a login any more, or wants one.
func unknown(err error) bool {
	err = rpctypes.Error(err)
	return errors.Is(err, rpctypes.ErrInvalidAuthToken) || errors.Is(err, rpctypes.ErrUserEmpty) || errors.Is(err, rpctypes.ErrAuthOldRevision)
}

// renew logs in, unless somebody has since the login that was used.
func (l *login) renew(ctx context.Context, c *grpc.ClientConn, used string) error {
	select {
	case l.renewing <- struct{}{}:
		defer func() { <-l.renewing }()
	case <-ctx.Done():
		return ctx.Err()
	}
	if token, ok := l.now(); ok && token != used {
		return nil
	}
	answer, err := etcdserverpb.NewAuthClient(c).Authenticate(context.WithValue(ctx, loggingIn{}, true),
		&etcdserverpb.AuthenticateRequest{Name: l.user, Password: l.password}, grpc.WaitForReady(true))
	none := errors.Is(rpctypes.Error(err), rpctypes.ErrAuthNotEnabled)
	if err != nil && !none {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.token, l.none = answer.GetToken(), none
	return nil
}
