// Package etcd is an engine for package shared: etcd itself, or kine, which speaks its protocol in front of
// PostgreSQL or MySQL.
//
// It uses the operations that Kubernetes uses, in the same form, since kine implements no others: Range, and
// transactions that compare one record's revision, change that record, and read it if somebody else was
// faster.
package etcd

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/grpclog"
	"google.golang.org/grpc/status"

	"github.com/waxseal/waxseal/keystore"
	"github.com/waxseal/waxseal/keystore/shared"
)

// Config says where the engine is.
type Config struct {
	Endpoints []string // URLs, http:// or https://
	Prefix    string   // of all keys; it ends with a slash

	// PEM files: who signed the servers' certificates, and who this client is. "" are the system's
	// authorities, and no certificate.
	CAFile, CertFile, KeyFile string

	// User and Password log in, if User is not "".
	User, Password string
}

const (
	// callLimit bounds one call. A cluster that elects a leader, or compacts, can take seconds.
	callLimit = 10 * time.Second
	// keepalive finds a connection that was cut without a word. The server allows one ping in five seconds
	// while a call or a watch is open; PermitWithoutStream stays off, because it answers more with GoAway.
	keepalive = 10 * time.Second
	pageSize  = 500 // records in one answer
)

// quiet keeps gRPC's own log from standard error; all that matters comes back as an error. It may be called before
// gRPC is used, and not later.
var quiet = sync.OnceFunc(func() { grpclog.SetLoggerV2(grpclog.NewLoggerV2(io.Discard, io.Discard, io.Discard)) })

// Open makes an engine. It connects when it is first used, and again whenever that is needed. The error is about
// the files.
func Open(c Config) (shared.Engine, error) {
	secure, err := c.tls()
	if err != nil {
		return nil, err
	}
	quiet()
	var options []grpc.DialOption
	if c.User != "" {
		options = newLogin(c.User, c.Password).options()
	}
	client, err := clientv3.New(clientv3.Config{
		Endpoints: c.Endpoints, TLS: secure, DialOptions: options,
		DialTimeout: callLimit, DialKeepAliveTime: keepalive, DialKeepAliveTimeout: keepalive / 2,
		Logger: zap.NewNop(),
	})
	if err != nil {
		return nil, fmt.Errorf("etcd: %w", classify(err))
	}
	return &engine{client, c, c.Prefix}, nil
}

// tls is nil if no endpoint uses TLS.
func (c Config) tls() (*tls.Config, error) {
	secure := &tls.Config{MinVersion: tls.VersionTLS12}
	if c.CAFile != "" {
		pem, err := os.ReadFile(c.CAFile)
		if err != nil {
			return nil, fmt.Errorf("ca_file of [etcd]: %w", err)
		}
		secure.RootCAs = x509.NewCertPool()
		if !secure.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("ca_file of [etcd]: %s contains no certificate", c.CAFile)
		}
	}
	if c.CertFile != "" {
		load := func() (*tls.Certificate, error) {
			pair, err := tls.LoadX509KeyPair(c.CertFile, c.KeyFile)
			return &pair, err
		}
		if _, err := load(); err != nil {
			return nil, fmt.Errorf("cert_file and key_file of [etcd]: %w", err)
		}
		// Read at each connection, so that a certificate can be renewed.
		secure.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return load() }
	}
	for _, e := range c.Endpoints {
		if strings.HasPrefix(e, "https://") {
			return secure, nil
		}
	}
	return nil, nil
}

type engine struct {
	client *clientv3.Client
	config Config
	prefix string
}

func (e *engine) Close() error { return e.client.Close() }

// List says why, if no node can be reached: it is the first call, and the one that is made again and again.
func (e *engine) List(ctx context.Context) ([]shared.Record, int64, error) {
	ctx, cancel := context.WithCancel(ctx)
	var why error
	var looking sync.WaitGroup
	looking.Go(func() {
		select {
		case <-time.After(doubtAfter):
			if why = e.config.unreachable(ctx); why != nil {
				cancel()
			}
		case <-ctx.Done():
		}
	})
	all, revision, err := e.list(ctx)
	cancel()
	looking.Wait()
	if err != nil && why != nil {
		err = fmt.Errorf("%w (%w)", keystore.ErrUnavailable, why)
	}
	return all, revision, err
}

func (e *engine) list(ctx context.Context) (all []shared.Record, revision int64, err error) {
	// Keys in turn, from the one after the last, at the revision of the first answer.
	for key, end := e.prefix, clientv3.GetPrefixRangeEnd(e.prefix); ; {
		page, cancel := context.WithTimeout(ctx, callLimit)
		answer, err := e.client.Get(page, key, clientv3.WithRange(end), clientv3.WithLimit(pageSize), clientv3.WithRev(revision))
		cancel()
		if err != nil {
			return nil, 0, classify(err)
		}
		if revision == 0 {
			revision = answer.Header.Revision
		}
		for _, kv := range answer.Kvs {
			all = append(all, shared.Record{Key: strings.TrimPrefix(string(kv.Key), e.prefix), Value: value(kv.Value), Revision: kv.ModRevision})
			key = string(kv.Key) + "\x00"
		}
		if !answer.More {
			return all, revision, nil
		}
	}
}

func (e *engine) Get(ctx context.Context, key string) (shared.Record, error) {
	ctx, cancel := context.WithTimeout(ctx, callLimit)
	defer cancel()
	answer, err := e.client.Get(ctx, e.prefix+key)
	if err != nil {
		return shared.Record{}, classify(err)
	}
	r := shared.Record{Key: key}
	if len(answer.Kvs) > 0 {
		r.Value, r.Revision = value(answer.Kvs[0].Value), answer.Kvs[0].ModRevision
	}
	return r, nil
}

func (e *engine) Swap(ctx context.Context, key string, to []byte, revision int64) (shared.Record, error) {
	ctx, cancel := context.WithTimeout(ctx, callLimit)
	defer cancel()
	path := e.prefix + key
	change := clientv3.OpPut(path, string(to))
	if to == nil {
		change = clientv3.OpDelete(path)
	}
	answer, err := e.client.Txn(ctx).
		If(clientv3.Compare(clientv3.ModRevision(path), "=", revision)).
		Then(change).
		Else(clientv3.OpGet(path)).
		Commit()
	if err != nil {
		return shared.Record{}, classify(err)
	}
	if answer.Succeeded {
		return shared.Record{Key: key, Value: to, Revision: answer.Header.Revision}, nil
	}
	now := shared.Record{Key: key}
	if len(answer.Responses) > 0 {
		if kvs := answer.Responses[0].GetResponseRange().GetKvs(); len(kvs) > 0 {
			now.Value, now.Revision = value(kvs[0].Value), kvs[0].ModRevision
		}
	}
	return now, shared.ErrChanged
}

func (e *engine) Watch(ctx context.Context, after int64, changed func([]shared.Record)) error {
	// Without a leader a watch would wait in silence.
	ctx, cancel := context.WithCancel(clientv3.WithRequireLeader(ctx))
	defer cancel()
	for answer := range e.client.Watch(ctx, e.prefix, clientv3.WithPrefix(), clientv3.WithRev(after+1)) {
		if err := answer.Err(); err != nil {
			return classify(err)
		}
		records := make([]shared.Record, 0, len(answer.Events))
		for _, event := range answer.Events {
			r := shared.Record{Key: strings.TrimPrefix(string(event.Kv.Key), e.prefix), Revision: event.Kv.ModRevision}
			if event.Type == clientv3.EventTypePut {
				r.Value = value(event.Kv.Value)
			}
			records = append(records, r)
		}
		changed(records)
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	return fmt.Errorf("%w: etcd ended the watch", keystore.ErrUnavailable)
}

// value is never nil, which would mean that there is no record.
func value(v []byte) []byte {
	if v == nil {
		return []byte{}
	}
	return v
}

// classify finds the keystore's word for an error of etcd. Errors of etcd do not contain what was written.
func classify(err error) error {
	kind := keystore.ErrUnavailable
	code := status.Code(err)
	if e := new(rpctypes.EtcdError); errors.As(err, e) {
		code = e.Code()
	}
	switch {
	case errors.Is(err, context.Canceled):
		return err
	case errors.Is(err, rpctypes.ErrNoSpace), strings.Contains(err.Error(), "database space exceeded"):
		kind = keystore.ErrFull
	case errors.Is(err, context.DeadlineExceeded), code == codes.DeadlineExceeded:
		kind = keystore.ErrTimeout
	case errors.Is(err, rpctypes.ErrAuthFailed), errors.Is(err, rpctypes.ErrUserEmpty), code == codes.PermissionDenied, code == codes.Unauthenticated:
		kind = keystore.ErrDenied
	}
	return fmt.Errorf("%w (%w)", kind, err)
}
