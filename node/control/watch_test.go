package control

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/wgnode/wgnode/node/control/controltest"
	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/eventtext"
	"github.com/wgnode/wgnode/probe/key"
	"github.com/wgnode/wgnode/probe/recording"
)

// frames writes those of a watch, as a node sends them.
func frames(t *testing.T, write func(w *frameWriter) error) io.Reader {
	t.Helper()
	var sent bytes.Buffer
	w := &frameWriter{w: &sent, flush: func() error { return nil }}
	if err := errors.Join(write(w), w.send()); err != nil {
		t.Fatal(err)
	}
	return &sent
}

func watchEvent(w *frameWriter, e probe.Event) error {
	at := w.begin(frameEvent)
	w.buf, _ = e.AppendBinary(w.buf)
	return w.end(at)
}

// An event comes out with what its peer is called when it comes, also if that changes
// meanwhile, and what was lost is counted.
func TestWatchFrames(t *testing.T) {
	e := probe.Event{Time: 1, Seq: 7, Seam: probe.SeamUDPReceive, Kind: probe.KindKeepalive, Peer: 3, PrefixBits: probe.NoPrefix}
	k := key.Public{1}
	in := frames(t, func(w *frameWriter) error {
		return errors.Join(
			w.json(frameWatch, watchHead{Version: watchVersion, LongestName: 5}), w.idle(),
			w.json(framePeer, watchPeer{ID: 3, PublicKey: k, Name: "alice"}), watchEvent(w, e),
			w.json(frameLoss, recording.Loss{Events: 4}),
			w.json(framePeer, watchPeer{ID: 3, PublicKey: k, Name: "bob"}), watchEvent(w, e), w.idle(),
			w.json(frameLoss, recording.Loss{Events: 9}))
	})
	var text strings.Builder
	into := &controltest.EventLines{W: &text}
	f := watchFrames{into: into, names: make(watchNames)}
	if err := readFrames(in, f.take); !errors.Is(err, io.EOF) {
		t.Fatal(err)
	}
	var want []byte
	for _, name := range []string{"alice", "bob"} {
		want = append(eventtext.AppendJSON(want, &e, watchNames{3: {ID: 3, PublicKey: k, Name: name}}), '\n')
	}
	if diff := cmp.Diff(string(want), text.String()); diff != "" {
		t.Errorf("lines:\n%s", diff)
	}
	if f.lost.Events != 9 || into.Longest != 5 || into.Flushed != 2 {
		t.Errorf("lost %d, longest name %d, flushed %d times", f.lost.Events, into.Longest, into.Flushed)
	}
}

// What is not a watch that this release reads is refused, and says so.
func TestWatchFramesRefused(t *testing.T) {
	for _, c := range []struct {
		name  string
		write func(w *frameWriter) error
		says  string
	}{
		{name: "later version", write: func(w *frameWriter) error { return w.json(frameWatch, watchHead{Version: watchVersion + 1}) },
			says: "of version 3, and this program reads 2"},
		{name: "no head", write: func(w *frameWriter) error { return watchEvent(w, probe.Event{}) }},
		{name: "two heads", write: func(w *frameWriter) error {
			head := watchHead{Version: watchVersion}
			return errors.Join(w.json(frameWatch, head), w.json(frameWatch, head))
		}},
		{name: "unknown frame", write: func(w *frameWriter) error {
			return errors.Join(w.json(frameWatch, watchHead{Version: watchVersion}), w.frame('?', nil))
		}},
		{name: "short event", write: func(w *frameWriter) error {
			return errors.Join(w.json(frameWatch, watchHead{Version: watchVersion}), w.frame(frameEvent, make([]byte, 5)))
		}},
	} {
		f := watchFrames{into: &controltest.EventLines{W: io.Discard}, names: make(watchNames)}
		err := readFrames(frames(t, c.write), f.take)
		if !errors.Is(err, errFrame) || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

// A frame that is too long is refused before memory is taken for it, on each processor.
func TestFramesTooLong(t *testing.T) {
	for _, length := range []uint32{maxFrame + 1, 1 << 31, 1<<32 - 1} {
		in := bytes.NewReader(binary.LittleEndian.AppendUint32([]byte{frameEvent}, length))
		err := readFrames(in, func(kind byte, body []byte) error {
			t.Errorf("%d bytes are a frame of kind %q", length, kind)
			return nil
		})
		if !errors.Is(err, errFrame) {
			t.Errorf("%d bytes: %v", length, err)
		}
	}
}

// The lines of a node of the first release come out without its marks, and without what
// was cut off.
func TestWatchLines(t *testing.T) {
	var out strings.Builder
	f := watchFrames{into: &controltest.EventLines{W: &out}}
	err := f.lines(strings.NewReader("#lost 0\na\n#lost 7\nb\n#lost 9\ncut sho"))
	if f.lost.Events != 9 || out.String() != "a\nb\n" || !errors.Is(err, io.EOF) {
		t.Errorf("got %d, %q, %v", f.lost.Events, &out, err)
	}
}

// Both programs may be older than the other: a node of the first release makes lines
// itself, which come out as they are; a program of the first release asks for lines,
// and is told what to do.
func TestWatchAcrossReleases(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	old := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		if q := r.URL.Query(); q.Get("format") == "text" && q.Get("color") == "" && q.Get("every") == "7" && q.Get("filter") == "tcp" {
			_, _ = w.Write(goldenFile(t, "watch.txt")) // the client may have gone
		}
		_, _ = io.WriteString(w, "#lost 3\n")
	})}
	served := make(chan error, 1)
	go func() { served <- old.Serve(l) }()
	defer func() {
		if err := errors.Join(old.Close(), <-served); !errors.Is(err, http.ErrServerClosed) {
			t.Error(err)
		}
	}()
	var text strings.Builder
	lost, err := clientOf("s", path).Watch(t.Context(), WatchRequest{Filter: []string{"tcp"}, Every: 7}, &controltest.EventLines{W: &text})
	if !errors.Is(err, ErrEnded) || lost != 3 || !strings.Contains(text.String(), " B3 udp-receive ") ||
		strings.Contains(text.String(), "#lost") {
		t.Errorf("lost %d, %v:\n%s", lost, err, &text)
	}

	c := newFake(t).serve(t)
	for _, query := range []string{"", "?format=text", "?past=1"} { // as the first release asks
		err := c.follow(t.Context(), "watch"+query, func(*http.Response) error { return nil })
		if err == nil || !strings.Contains(err.Error(), "older than the node") {
			t.Errorf("watch%s: %v", query, err)
		}
	}
}

// A peer that gets another name has it in what is watched from then on.
func TestWatchSendsNames(t *testing.T) {
	it := newFake(t)
	s := watchStream{frameWriter: frameWriter{w: io.Discard}, of: fakeServed{it}, named: make(map[probe.PeerID]string)}
	e := probe.Event{Peer: 1, PrefixBits: probe.NoPrefix}
	count := func() int {
		s.buf = nil
		for range 2 {
			if err := s.event(&e); err != nil {
				t.Fatal(err)
			}
		}
		return bytes.Count(s.buf, []byte(`"public_key"`))
	}
	if n := count(); n != 1 {
		t.Errorf("named %d times before two events", n)
	}
	it.name = "as it is called now"
	if n := count(); n != 1 {
		t.Errorf("named %d times after a change", n)
	}
}

// What was cut off before its end is not taken for all that there was.
func TestWatchCutOff(t *testing.T) {
	c := newFake(t).serve(t)
	ctx, cancel := context.WithCancel(t.Context())
	err := c.follow(ctx, "watch?"+(&WatchRequest{Past: true}).query().Encode(), func(*http.Response) error {
		cancel()
		return io.ErrUnexpectedEOF
	})
	if !errors.Is(err, ErrNoEnd) {
		t.Error(err)
	}
}

// A stream ends because that is asked for, not because its reader waits no longer.
func TestWatchEndsWhenAsked(t *testing.T) {
	c := newFake(t).serve(t)
	ctx, cancel := context.WithCancel(t.Context())
	req := WatchRequest{Past: true}
	err := c.follow(ctx, "watch?"+req.query().Encode(), func(res *http.Response) error {
		cancel()
		if _, err := io.Copy(io.Discard, res.Body); err != nil {
			t.Errorf("the stream ends with %v", err)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}
