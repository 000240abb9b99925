package upstream

import (
	"sync/atomic"
	"testing"
	"testing/synctest"
)

// wakes counts what a lot is told.
type wakes struct{ n atomic.Int32 }

func (w *wakes) Wake() { w.n.Add(1) }

// A limit that other machines share may fall while connections are in use, and rise while messages wait.
func TestSetLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{}
		t.Cleanup(f.stop)
		p := newPool(t, f, func(c *Config) { c.MaxConnections = 3 })
		lot := &wakes{}
		p.Share(lot)
		p.SetLimit(0)
		began := make(chan *Transaction, 3)
		for range 3 {
			go func() { began <- begin(t, p) }()
		}
		synctest.Wait()
		if used, wanted := p.Use(); used != 0 || wanted != 3 || lot.n.Load() != 3 {
			t.Fatalf("%d used, %d wanted, woken %d times", used, wanted, lot.n.Load())
		}
		p.SetLimit(2)
		first, second := <-began, <-began
		p.SetLimit(1)
		if used, wanted := p.Use(); used != 2 || wanted != 3 {
			t.Errorf("while both are in use: %d used, %d wanted", used, wanted)
		}
		first.Close() // goes back to who waits for it elsewhere, not to the third message
		synctest.Wait()
		if used, _ := p.Use(); used != 1 || lot.n.Load() != 4 {
			t.Errorf("%d used, woken %d times", used, lot.n.Load())
		}
		second.Close()
		third := <-began
		third.Close()
		synctest.Wait()
		if s := p.Status(); s.Warm != 1 {
			t.Errorf("%+v", s)
		}
		p.SetLimit(0) // an idle connection goes at once
		synctest.Wait()
		if used, wanted := p.Use(); used != 0 || wanted != 0 {
			t.Errorf("%d used, %d wanted", used, wanted)
		}
	})
}
