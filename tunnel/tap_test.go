package tunnel

import (
	"bytes"
	"encoding/binary"
	"testing"
	"time"

	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/patience"
	"github.com/wgnode/wgnode/tunnel/internal/tap"
	"github.com/wgnode/wgnode/tunnel/internal/tunneltest"
)

// A tap keeps of every packet what it was asked for, and the events lead to it.
func TestTap(t *testing.T) {
	a, b := pair(t, nil)
	whole, headers := a.Tap(0), a.Tap(TapHeaders)
	short := b.Tap(20)
	wa := a.Recorder().Subscribe(probe.SubscribeOptions{})
	wb := b.Recorder().Subscribe(probe.SubscribeOptions{})
	defer wa.Close()
	defer wb.Close()
	pkt := tunneltest.UDP4(a.addr, b.addr, 7, 9, 100)
	copy(pkt[28:], "secret")
	a.send(pkt)
	b.receive(t)

	e := tunneltest.Await(t, wa, "initiation", func(e *probe.Event) bool { return e.Kind == probe.KindInitiation })
	if msg, ok := headers.Content(nil, &e); !ok || len(msg) != probe.LenInitiation || binary.LittleEndian.Uint32(msg[4:]) != e.Sender {
		t.Errorf("initiation %x, %v", msg, ok)
	}
	e = tunneltest.Await(t, wa, "data", func(e *probe.Event) bool { return e.Kind == probe.KindData && e.Seam == probe.SeamUDPSend })
	msg, ok := whole.Content(nil, &e)
	if !ok || len(msg) != int(e.OuterLen) || binary.LittleEndian.Uint64(msg[8:]) != e.Counter {
		t.Errorf("data %x, %v", msg, ok)
	}
	if m, ok := headers.Content(nil, &e); !ok || !bytes.Equal(m, msg[:tap.LeastOuter]) {
		t.Errorf("a tap of headers has %x of a data message, %v", m, ok)
	}
	got := tunneltest.Await(t, wb, "data", func(e *probe.Event) bool { return e.Kind == probe.KindData && e.Seam == probe.SeamUDPReceive })
	if m, ok := short.Content([]byte("x"), &got); !ok || string(m) != "x"+string(msg[:tap.LeastOuter]) {
		t.Errorf("data received %x, %v", m, ok)
	}
	got = tunneltest.Await(t, wb, "inner packet", func(e *probe.Event) bool { return e.Seam == probe.SeamTUNWrite })
	if m, ok := short.Content(nil, &got); !ok || !bytes.Equal(m, pkt[:20]) {
		t.Errorf("inner packet %x, %v", m, ok)
	}

	past := a.Recorder().Snapshot(time.Time{}, func(e *probe.Event) bool { return e.Seam == probe.SeamTUNRead })
	if len(past) != 1 {
		t.Fatalf("%d packets were read", len(past))
	}
	if m, ok := whole.Content(nil, &past[0]); !ok || !bytes.Equal(m, pkt) {
		t.Errorf("inner packet %x, %v", m, ok)
	}
	if m, ok := headers.Content(nil, &past[0]); !ok || !bytes.Equal(m, pkt[:28]) {
		t.Errorf("headers of the inner packet %x, %v", m, ok)
	}
	for _, p := range []*Tap{whole, headers} {
		p.Close()
	}
	if n := len(a.watch.Taps.Running()); n != 0 {
		t.Errorf("%d taps are left", n)
	}
}

// Under load, with a reader that keeps up, nothing is missing and nothing is
// another packet's.
func TestTapUnderLoad(t *testing.T) {
	const size = 64
	batches := 200
	if testing.Short() {
		batches = 50
	}
	a, b := pair(t, nil)
	a.send(tunneltest.UDP4(a.addr, b.addr, 1, 1, 8))
	b.receive(t)
	tap := b.Tap(TapHeaders)
	defer tap.Close()
	w := b.Recorder().Subscribe(probe.SubscribeOptions{Match: func(e *probe.Event) bool { return e.Seam == probe.SeamTUNWrite }})
	defer w.Close()
	done := make(chan int)
	ahead := make(chan struct{}, 4) // batches that are sent and not read: it does keep up
	ctx := patience.Context(t)
	go func() {
		n := 0
		buf := make([]probe.Event, 256)
		var content []byte
		for n < batches*size {
			got, err := w.Read(ctx, buf)
			if err != nil {
				t.Error(err)
				break
			}
			for i := range buf[:got] {
				var ok bool
				var has probe.Event
				content, ok = tap.Content(content[:0], &buf[i])
				if !ok || !has.DecodeInner(content) || has.InnerSrcPort != buf[i].InnerSrcPort || has.InnerDstPort != buf[i].InnerDstPort {
					t.Errorf("content %x, %v of %+v", content, ok, buf[i])
				}
			}
			for range (n+got)/size - n/size {
				<-ahead
			}
			n += got
		}
		done <- n
	}()
	for i := range batches {
		var pkts [][]byte
		for j := range size {
			pkts = append(pkts, tunneltest.UDP4(a.addr, b.addr, uint16(i+1), uint16(j+1), 64))
		}
		select {
		case ahead <- struct{}{}:
		case <-ctx.Done(): // the reader says so
		}
		a.send(pkts...)
		for range size {
			b.receive(t)
		}
	}
	if n := <-done; n != batches*size {
		t.Errorf("%d packets, want %d", n, batches*size)
	}
}
