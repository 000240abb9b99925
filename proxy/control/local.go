package control

import (
	"context"
	"io"
	"net/http"
)

// Local returns a client of b in this process. Commands that find no instance use
// it, so their code is the same whoever answers.
func Local(b Backend) *Client {
	c := &Client{}
	c.http.Transport = local{newHandler(context.Background(), b, Desktop{}, "")}
	return c
}

// local is a transport that hands each request to a handler in this process.
type local struct{ handler http.Handler }

// RoundTrip returns as soon as the handler has begun its answer, so that an
// endless answer can be read while it grows.
func (l local) RoundTrip(r *http.Request) (*http.Response, error) {
	ctx, cancel := context.WithCancel(r.Context())
	in := r.Clone(ctx)
	in.Host = r.URL.Host
	if in.Body == nil {
		in.Body = http.NoBody
	}
	reader, writer := io.Pipe()
	w := &localWriter{header: http.Header{}, body: writer, begun: make(chan int, 1)}
	done := make(chan struct{})
	go func() {
		defer close(done)
		l.handler.ServeHTTP(w, in)
		w.WriteHeader(http.StatusOK)
		writer.Close()
		in.Body.Close()
	}()
	status := <-w.begun
	return &http.Response{
		StatusCode: status, Status: http.StatusText(status),
		Header: w.header, Request: r, ContentLength: -1,
		Body: localBody{reader, cancel, done},
	}, nil
}

// localBody's Close ends the handler and waits for it.
type localBody struct {
	*io.PipeReader
	cancel context.CancelFunc
	done   chan struct{}
}

func (b localBody) Close() error {
	b.cancel()
	b.PipeReader.Close()
	<-b.done
	return nil
}

// localWriter is the handler's side of the answer.
type localWriter struct {
	header http.Header
	body   *io.PipeWriter
	begun  chan int // gets the status once
	wrote  bool
}

func (w *localWriter) Header() http.Header { return w.header }

func (w *localWriter) WriteHeader(status int) {
	if !w.wrote {
		w.wrote = true
		w.begun <- status
	}
}

func (w *localWriter) Write(p []byte) (int, error) {
	w.WriteHeader(http.StatusOK)
	return w.body.Write(p)
}

// Flush has nothing to do: the pipe has no buffer.
func (w *localWriter) Flush() {}
