package control

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"iter"
	"net/http"

	"github.com/waxseal/waxseal/proxy/api"
)

// Watch yields what the instance does, now and at each change, until ctx or the
// instance ends. If the instance ends, the last error is [ErrNotRunning].
func (c *Client) Watch(ctx context.Context) iter.Seq2[api.Snapshot, error] {
	return lines[api.Snapshot](ctx, c, "/watch")
}

// Pages yields the pages that the window is asked to show, until ctx or the
// instance ends. If the instance ends, the last error is [ErrNotRunning], and if it died,
// [ErrDied].
func (c *Client) Pages(ctx context.Context) iter.Seq2[Page, error] {
	return lines[Page](ctx, c, "/pages")
}

// lines reads an answer that goes on, one value per line.
func lines[T any](ctx context.Context, c *Client, path string) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		var none T
		body, err := c.open(ctx, http.MethodGet, path, nil)
		if err != nil {
			yield(none, err)
			return
		}
		defer body.Close()
		for lines := json.NewDecoder(body); ; {
			var v T
			err := lines.Decode(&v)
			if ctx.Err() != nil {
				return
			}
			switch {
			case errors.Is(err, io.EOF): // the answer was ended
				yield(none, ErrNotRunning)
				return
			case err != nil: // it broke off
				yield(none, ErrDied)
				return
			}
			if !yield(v, nil) {
				return
			}
		}
	}
}
