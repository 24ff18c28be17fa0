package control

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"path/filepath"
	"testing"

	"github.com/wgnode/wgnode/node/explain"
	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/key"
	"github.com/wgnode/wgnode/tunnel"
	"github.com/wgnode/wgnode/tunnel/uapi"
)

// oneFake is a WireGuard with one peer, of which there is a flight recorder alone.
type oneFake struct {
	explain.Tunnel // the rest is not asked
	recorder       *probe.Recorder
	keeper         *explain.Keeper
	peer           key.Public
	name           string
	settled        func() // when that is asked for; may be nil
}

func newFake(t *testing.T) *oneFake {
	t.Helper()
	r, err := probe.NewRecorder(probe.DefaultRecorderBytes)
	if err != nil {
		t.Fatal(err)
	}
	f := &oneFake{recorder: r, peer: key.Public{7}, name: "alice"}
	f.keeper = explain.NewKeeper(fakeServed{f}.Subject, func(context.Context) {})
	t.Cleanup(f.keeper.Close)
	return f
}

func (f *oneFake) Level() probe.Level        { return probe.LevelCapture }
func (f *oneFake) Recorder() *probe.Recorder { return f.recorder }
func (f *oneFake) PeerState(probe.PeerID) tunnel.PeerState {
	return tunnel.PeerState{ID: 1, Key: f.peer, Name: f.name, Configured: true}
}
func (f *oneFake) Peers() []tunnel.PeerState { return []tunnel.PeerState{f.PeerState(1)} }
func (f *oneFake) Status() (*uapi.Status, error) {
	return &uapi.Status{ListenPort: 51820, Peers: []uapi.PeerStatus{
		{PublicKey: f.peer, AllowedIPs: []netip.Prefix{netip.MustParsePrefix("10.0.0.2/32")}}}}, nil
}

// fakeServed serves it.
type fakeServed struct{ *oneFake }

func (f fakeServed) Subject() explain.Subject {
	return explain.Subject{Interface: "wg0", Tunnel: f.oneFake}
}
func (f fakeServed) Status() (*Status, error) {
	return &Status{Interface: "wg0", Peers: []PeerStatus{{PublicKey: f.peer, Name: f.name, Configured: true}}}, nil
}
func (f fakeServed) Peer(id probe.PeerID) (key.Public, string, bool) { return f.peer, f.name, id == 1 }
func (f fakeServed) Keeper() *explain.Keeper                         { return f.keeper }
func (fakeServed) Addresses() []netip.Addr                           { return nil }
func (fakeServed) Unseen() uint64                                    { return 0 }
func (fakeServed) Tap(int) Tap                                       { return NoTap{} }
func (fakeServed) Keys() (Keys, error)                               { return nil, errors.New("it has no keys") }

// Settle implements [Served].
func (f fakeServed) Settle(context.Context) {
	if f.settled != nil {
		f.settled()
	}
}

// serve serves it until the test ends.
func (f *oneFake) serve(t *testing.T) *Client {
	t.Helper()
	path := filepath.Join(t.TempDir(), "s")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	Handle(mux, fakeServed{f}, slog.New(slog.NewTextHandler(io.Discard, nil)))
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- Serve(ctx, mux, l) }()
	t.Cleanup(func() {
		cancel()
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
	return clientOf("wg0", path)
}

// clientOf is a client of whoever listens at path.
func clientOf(name, path string) *Client {
	return NewClient(name, func(ctx context.Context) (*net.UnixConn, error) {
		var d net.Dialer
		c, err := d.DialContext(ctx, "unix", path)
		if err != nil {
			return nil, err
		}
		return c.(*net.UnixConn), nil
	})
}
