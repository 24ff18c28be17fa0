package node

import (
	"bytes"
	"context"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"github.com/wgnode/wgnode/probe"
)

// slowReader is a client that takes nothing until it is let.
type slowReader struct {
	let  chan struct{}
	got  bytes.Buffer
	last string // when that has come, done is closed
	done chan struct{}
}

func (r *slowReader) Header() http.Header { return http.Header{} }
func (r *slowReader) WriteHeader(int)     {}
func (r *slowReader) Flush()              {}

func (r *slowReader) Write(b []byte) (int, error) {
	<-r.let
	r.got.Write(b)
	if strings.HasSuffix(string(b), r.last) && r.last != "" {
		r.last = ""
		close(r.done)
	}
	return len(b), nil
}

// A reader that does not keep up is told exactly how many events it missed.
func TestStreamCountsWhatIsLost(t *testing.T) {
	const events = 20_000 // more than the recorder holds
	rec, err := probe.NewRecorder(probe.MinRecorderBytes)
	if err != nil {
		t.Fatal(err)
	}
	sub := rec.Subscribe(probe.SubscribeOptions{})
	defer sub.Close()
	r := &slowReader{let: make(chan struct{}), last: "\n" + strconv.Itoa(events) + "\n", done: make(chan struct{})}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	ended := make(chan error, 1)
	go func() {
		ended <- stream(ctx, r, sub, func(b []byte, e *probe.Event) []byte { return strconv.AppendUint(b, e.Seq, 10) })
	}()
	for i := range events {
		rec.Record(probe.LaneTUNRead, &probe.Event{Time: int64(i + 1), Seam: probe.SeamTUNRead})
	}
	close(r.let)
	<-r.done
	cancel()
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	lost, err := copyLines(&out, &r.got)
	if shown := strings.Count(out.String(), "\n"); lost == 0 || shown == 0 || uint64(shown)+lost != events {
		t.Errorf("%d shown and %d lost of %d, %v", shown, lost, events, err)
	}
}
