package control

import (
	"context"
	"errors"
	"net/http"
	"sync"

	"github.com/waxseal/waxseal/proxy/api"
)

// forWindows adds the requests that windows make, and those about windows.
func (h *handler) forWindows(b Backend, d Desktop) {
	h.mux.HandleFunc("POST /activity", with(func(_ context.Context, a activityRequest) (any, error) {
		return b.Activity(a.After), nil
	}))
	h.mux.HandleFunc("POST /pause", with(func(_ context.Context, p pauseRequest) (any, error) {
		b.SetPaused(p.Paused)
		return struct{}{}, nil
	}))
	h.mux.HandleFunc("POST /unlock", with(func(ctx context.Context, _ struct{}) (any, error) {
		return struct{}{}, b.UnlockKeystore(ctx)
	}))
	h.mux.HandleFunc("POST /mail-settings", with(func(ctx context.Context, a addressRequest) (any, error) {
		return b.MailSettings(ctx, a.Address, a.Renew)
	}))
	h.mux.HandleFunc("GET /settings", func(w http.ResponseWriter, r *http.Request) {
		answer(w, b.Settings(), nil)
	})
	h.mux.HandleFunc("POST /configure", with(func(ctx context.Context, to api.SettingsChange) (any, error) {
		return b.Configure(ctx, to)
	}))
	h.mux.HandleFunc("GET /certificate", func(w http.ResponseWriter, r *http.Request) {
		c, err := b.Certificate()
		answer(w, c, err)
	})
	h.mux.HandleFunc("GET /pages", h.pages)
	h.mux.HandleFunc("POST /show", with(func(_ context.Context, p Page) (any, error) {
		return struct{}{}, h.windows.show(p)
	}))
	h.mux.HandleFunc("POST /quit", with(func(context.Context, struct{}) (any, error) {
		if d.Quit == nil {
			return nil, errors.New("this Waxseal cannot be ended from here; end its process")
		}
		d.Quit()
		return struct{}{}, nil
	}))
}

// pages tells a window which page to show, until it closes.
func (h *handler) pages(w http.ResponseWriter, r *http.Request) {
	asked, leave := h.windows.listen()
	defer leave()
	h.stream(w, r, func(ctx context.Context, send func(any) error) {
		for {
			select {
			case p := <-asked:
				if send(p) != nil {
					return
				}
			case <-ctx.Done():
				return
			}
		}
	})
}

// windows are the open windows that listen.
type windows struct {
	open func(page, account string) error // nil if this instance has no windows

	mu        sync.Mutex // guards the field below
	listening map[chan Page]struct{}
}

// listen answers the channel on which one window learns which page to show.
func (w *windows) listen() (asked <-chan Page, leave func()) {
	c := make(chan Page, 4) // more than anybody clicks before the page is drawn
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.listening == nil {
		w.listening = make(map[chan Page]struct{})
	}
	w.listening[c] = struct{}{}
	return c, func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		delete(w.listening, c)
	}
}

// show tells the windows that listen, or opens one. A window that hangs and no
// longer reads from its channel does not count.
func (w *windows) show(p Page) error {
	told := false
	w.mu.Lock()
	for c := range w.listening {
		select {
		case c <- p:
			told = true
		default:
		}
	}
	w.mu.Unlock()
	switch {
	case told:
		return nil
	case w.open == nil:
		return errors.New("this Waxseal is running without a screen and has no window to show")
	}
	return w.open(p.Page, p.Account)
}
