package control

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/waxseal/waxseal/keystore"
	"github.com/waxseal/waxseal/proxy/api"
	"github.com/waxseal/waxseal/proxy/mailbox"
)

// MaxImport limits an import file, in bytes: about 50,000 accounts.
const MaxImport = 32 << 20

const (
	maxBody       = 1 << 20 // of any other request
	watchInterval = 250 * time.Millisecond
	endPatience   = 5 * time.Second // for requests in progress when the instance ends
)

// Serve answers requests with b and d until ctx ends, then lets those in progress
// finish. It closes the socket but keeps the lock, which l's Close releases.
func Serve(ctx context.Context, l *Listener, b Backend, d Desktop) error {
	watching, stopWatching := context.WithCancel(context.Background())
	defer stopWatching()
	srv := &http.Server{
		Handler:           newHandler(watching, b, d, l.token),
		ReadHeaderTimeout: 2 * time.Second,
		IdleTimeout:       time.Minute,
		MaxHeaderBytes:    16 << 10,
	}
	ended := make(chan error, 1)
	go func() { ended <- srv.Serve(l.inner) }()
	select {
	case err := <-ended:
		return fmt.Errorf("control socket: %w", err)
	case <-ctx.Done():
	}
	stopWatching()
	patience, cancel := context.WithTimeout(context.WithoutCancel(ctx), endPatience)
	defer cancel()
	if srv.Shutdown(patience) != nil {
		srv.Close()
	}
	<-ended
	return nil
}

// handler answers the requests of [Client].
type handler struct {
	mux      http.ServeMux
	backend  Backend
	windows  windows
	token    string
	watching context.Context // ends the streams of /watch and /pages
}

func newHandler(watching context.Context, b Backend, d Desktop, token string) *handler {
	h := &handler{backend: b, windows: windows{open: d.Show}, token: token, watching: watching}
	h.mux.HandleFunc("GET /hello", func(w http.ResponseWriter, r *http.Request) {
		s := b.Snapshot()
		answer(w, hello{PID: s.PID, Version: s.Version, Desktop: d.Show != nil}, nil)
	})
	h.mux.HandleFunc("GET /status", func(w http.ResponseWriter, r *http.Request) {
		answer(w, b.Snapshot(), nil)
	})
	h.mux.HandleFunc("GET /accounts", func(w http.ResponseWriter, r *http.Request) {
		answer(w, b.Accounts(), nil)
	})
	h.mux.HandleFunc("GET /watch", h.watch)
	h.mux.HandleFunc("POST /reload", func(w http.ResponseWriter, r *http.Request) {
		notes, err := b.Reload(r.Context())
		answer(w, notes, err)
	})
	h.mux.HandleFunc("POST /import", func(w http.ResponseWriter, r *http.Request) {
		data, err := io.ReadAll(r.Body)
		if err != nil {
			refuse(w, http.StatusBadRequest, fmt.Errorf("read the import: %w", err))
			return
		}
		report, err := b.Import(r.Context(), data)
		answer(w, report, err)
	})
	h.mux.HandleFunc("POST /import-email-proxy", with(func(ctx context.Context, a emailProxyRequest) (any, error) {
		return b.ImportEmailProxy(ctx, a.Data, a.Passwords)
	}))
	h.mux.HandleFunc("POST /preflight", with(func(ctx context.Context, a api.Account) (any, error) {
		return b.Preflight(ctx, a)
	}))
	h.mux.HandleFunc("POST /add", with(func(ctx context.Context, a addRequest) (any, error) {
		password, err := b.Add(ctx, a.Account, a.ClientSecret)
		return passwordAnswer{password}, err
	}))
	h.mux.HandleFunc("POST /read-client", with(func(ctx context.Context, a readClientRequest) (any, error) {
		return b.ReadClient(ctx, a.Text)
	}))
	h.mux.HandleFunc("POST /client", with(func(ctx context.Context, a clientRequest) (any, error) {
		return nil, b.SetClient(ctx, a.Address, a.Client)
	}))
	h.mux.HandleFunc("POST /login", with(func(ctx context.Context, a loginRequest) (any, error) {
		return nil, b.SetLogin(ctx, a.Address, a.Login)
	}))
	h.mux.HandleFunc("POST /provider", with(func(ctx context.Context, n api.NewProvider) (any, error) {
		return nil, b.AddProvider(ctx, n)
	}))
	h.mux.HandleFunc("POST /authorize", growing(func(ctx context.Context, to api.ConsentRequest, send func(event) error) event {
		consented, err := b.Authorize(ctx, to, func(p api.Prompt) error { return send(event{Prompt: &p}) })
		return event{Consented: consented, Error: errorOf(err)}
	}))
	h.mux.HandleFunc("POST /cancel-sign-in", with(func(ctx context.Context, a addressRequest) (any, error) {
		return nil, b.CancelSignIn(ctx, a.Address)
	}))
	h.mux.HandleFunc("POST /doctor", growing(func(ctx context.Context, _ struct{}, send func(event) error) event {
		return event{Failed: b.Doctor(ctx, func(c api.Check) { send(event{Check: &c}) })}
	}))
	h.mux.HandleFunc("POST /send-test", growing(func(ctx context.Context, a sendRequest, send func(event) error) event {
		return event{Error: errorOf(b.SendTest(ctx, a.Address, a.To, func(c api.Check) { send(event{Check: &c}) }))}
	}))
	h.mux.HandleFunc("POST /read-test", growing(func(ctx context.Context, a readRequest, send func(event) error) event {
		return event{Error: errorOf(b.ReadTest(ctx, a.Address, a.Protocol, func(c api.Check) { send(event{Check: &c}) }))}
	}))
	h.mux.HandleFunc("POST /move-secrets", with(func(ctx context.Context, m moveRequest) (any, error) {
		moved, err := b.MoveSecrets(ctx, m.Keystore)
		return moveAnswer{moved}, err
	}))
	h.mux.HandleFunc("POST /remove", with(func(ctx context.Context, a addressRequest) (any, error) {
		note, err := b.Remove(ctx, a.Address)
		return removeAnswer{note}, err
	}))
	h.forWindows(b, d)
	return h
}

// ServeHTTP turns away everything but our own client before it does anything.
func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	browser := r.Header.Get("Origin") != "" || r.Header.Get("Sec-Fetch-Site") != ""
	bearer := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
	switch {
	case r.Host != host || browser:
		refuse(w, http.StatusForbidden, errors.New("this socket is for the waxseal command only"))
	case h.token != "" && !sameToken(bearer, h.token):
		refuse(w, http.StatusUnauthorized, errors.New("the token is wrong"))
	case r.Method == http.MethodPost && r.Header.Get("Content-Type") != "application/json":
		refuse(w, http.StatusUnsupportedMediaType, errors.New("the body must be application/json"))
	default:
		limit := int64(maxBody)
		switch r.URL.Path {
		case "/import":
			limit = MaxImport
		case "/import-email-proxy":
			limit = 2 * MaxImport // base64, and passwords
		}
		r.Body = http.MaxBytesReader(w, r.Body, limit)
		h.mux.ServeHTTP(w, r)
	}
}

// watch sends one Snapshot per line, the first at once and then one at each
// change.
func (h *handler) watch(w http.ResponseWriter, r *http.Request) {
	h.stream(w, r, func(ctx context.Context, send func(any) error) {
		for s := range h.backend.Watch(ctx, watchInterval) {
			if send(s) != nil {
				return
			}
		}
	})
}

// stream sends an answer that goes on until the client leaves or the instance
// ends. It begins at once.
func (h *handler) stream(w http.ResponseWriter, r *http.Request, run func(ctx context.Context, send func(any) error)) {
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	defer context.AfterFunc(h.watching, cancel)()
	w.Header().Set("Content-Type", "application/x-ndjson")
	w.WriteHeader(http.StatusOK)
	lines, flush := json.NewEncoder(w), http.NewResponseController(w)
	flush.Flush() // in this process there is nothing to flush
	run(ctx, func(v any) error {
		if err := lines.Encode(v); err != nil {
			return err
		}
		flush.Flush()
		return nil
	})
}

// with reads a request's JSON, calls f and answers what f returns.
func with[T any](f func(context.Context, T) (any, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		var in T
		d := json.NewDecoder(r.Body)
		d.DisallowUnknownFields()
		if err := d.Decode(&in); err != nil {
			refuse(w, http.StatusBadRequest, fmt.Errorf("read the request: %w", err))
			return
		}
		out, err := f(r.Context(), in)
		answer(w, out, err)
	}
}

// growing is like with for work that takes a while: it sends each step at once.
func growing[T any](f func(ctx context.Context, in T, send func(event) error) (last event)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		var in T
		if err := json.NewDecoder(r.Body).Decode(&in); err != nil {
			refuse(w, http.StatusBadRequest, fmt.Errorf("read the request: %w", err))
			return
		}
		w.Header().Set("Content-Type", "application/x-ndjson")
		lines, flush := json.NewEncoder(w), http.NewResponseController(w)
		send := func(e event) error {
			if err := lines.Encode(e); err != nil {
				return err
			}
			flush.Flush() // in this process there is nothing to flush
			return nil
		}
		last := f(r.Context(), in, send)
		last.Done = true
		send(last)
	}
}

func errorOf(err error) *Error {
	if err == nil {
		return nil
	}
	e := &Error{Text: err.Error(), Cure: keystore.Cure(err)}
	errors.As(err, &e.Port)
	e.Problem = mailbox.ExplainAlone(err)
	if p, ok := errors.AsType[*api.Problem](err); ok {
		e.Text, e.Cure = p.Summary(), p.Remedy()
	}
	if own, ok := errors.AsType[interface {
		error
		Cure() string
	}](err); ok {
		e.Cure = own.Cure()
	}
	return e
}

func answer(w http.ResponseWriter, v any, err error) {
	if err != nil {
		refuse(w, http.StatusUnprocessableEntity, err)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	json.NewEncoder(w).Encode(v) // a client that has left needs no answer
}

func refuse(w http.ResponseWriter, status int, err error) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(errorOf(err))
}
