package providertest

import (
	"compress/flate"
	"io"
	"net"
)

// deflated is a connection whose bytes are compressed in both directions.
type deflated struct {
	net.Conn
	r io.Reader
	w *flate.Writer
}

func newDeflated(c net.Conn) *deflated {
	w, _ := flate.NewWriter(c, flate.BestSpeed) // fails only for levels that do not exist
	return &deflated{c, flate.NewReader(c), w}
}

func (d *deflated) Read(b []byte) (int, error) { return d.r.Read(b) }

func (d *deflated) Write(b []byte) (int, error) {
	n, err := d.w.Write(b)
	if err != nil {
		return n, err
	}
	return n, d.w.Flush()
}
