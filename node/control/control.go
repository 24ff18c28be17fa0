package control

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"time"

	"github.com/wgnode/wgnode/node/explain"
	"github.com/wgnode/wgnode/node/trace"
	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/eventtext"
	"github.com/wgnode/wgnode/probe/filter"
)

const (
	maxBody   = 1 << 20     // bytes of a request
	lastWords = time.Second // for clients to take the rest of their answers

	// RequestTime is for a client to send a request.
	RequestTime = 10 * time.Second
)

// Served is a WireGuard that is looked at: that of a node, or a device of the kernel's. Its
// methods can be called by several goroutines.
type Served interface {
	// Subject is it as package explain looks at it.
	Subject() explain.Subject
	// Status is its present state, without secrets.
	Status() (*Status, error)
	// Keeper keeps what a doctor says of its peers.
	Keeper() *explain.Keeper
	// Names are what its peers are called, also those that were removed.
	eventtext.Names
	// Addresses are those that it has, or its host; none where they cannot be listed.
	Addresses() []netip.Addr
	// Settle returns when all that has happened so far has come to the flight recorder, or ctx
	// ends.
	Settle(ctx context.Context)
	// Unseen is how many events were lost before they came to the flight recorder so far.
	Unseen() uint64
	// Tap begins to keep the first snaplen bytes of each packet that passes, as
	// [RecordRequest] has it.
	Tap(snaplen int) Tap
	// Keys are what decrypts a recording. The error says why there are none.
	Keys() (Keys, error)
}

// Tap is what is kept of packets until it is closed.
type Tap interface {
	// Content appends what was kept of an event's packet to dst. ok is false if nothing was
	// although it should have been.
	Content(dst []byte, e *probe.Event) (content []byte, ok bool)
	Close()
}

// NoTap is for a WireGuard whose packets cannot be had: nothing of them is kept but what their
// events know.
type NoTap struct{}

// Content implements [Tap].
func (NoTap) Content(dst []byte, _ *probe.Event) ([]byte, bool) { return dst, true }

// Close implements [Tap].
func (NoTap) Close() {}

// Keys are the lines of a key log, see recording.Writer.Secrets.
type Keys interface {
	StaticKeyLog(dst []byte) []byte
	// KeyLog appends those of the session that an event begins, if it is one that does.
	KeyLog(dst []byte, e *probe.Event) ([]byte, error)
}

// server answers [Client].
type server struct {
	Served
	log     *slog.Logger
	samples *samples
}

// Handle has mux answer those who look:
//
//	GET  /v1/status   Status
//	GET  /v1/peers    []PeerName
//	GET  /v1/overview overview.Request as a query, overview.Tunnel
//	GET  /v1/watch    see watch
//	GET  /v1/record   see record
//	GET  /v1/ping     see ping
//	POST /v1/explain  explain.Request, diagnose.Report
//	POST /v1/doctor   explain.DoctorRequest, diagnose.DoctorReport
//	POST /v1/trace    trace.Request, walk.Walk
func Handle(mux *http.ServeMux, it Served, log *slog.Logger) {
	s := server{it, log, new(samples)}
	mux.HandleFunc("GET /v1/status", s.status)
	mux.HandleFunc("GET /v1/peers", s.peers)
	mux.HandleFunc("GET /v1/overview", s.overview)
	mux.HandleFunc("GET /v1/watch", s.watch)
	mux.HandleFunc("GET /v1/record", s.record)
	mux.HandleFunc("GET /v1/ping", s.ping)
	mux.HandleFunc("POST /v1/explain", func(w http.ResponseWriter, r *http.Request) { look(w, r, it, explain.Explain) })
	mux.HandleFunc("POST /v1/doctor", func(w http.ResponseWriter, r *http.Request) { look(w, r, it, explain.Doctor) })
	mux.HandleFunc("POST /v1/trace", func(w http.ResponseWriter, r *http.Request) { look(w, r, it, trace.Run) })
}

// Serve has h answer those who connect to l until ctx ends.
func Serve(ctx context.Context, h http.Handler, l net.Listener) error {
	return ServeHTTP(ctx, &http.Server{Handler: h, ReadHeaderTimeout: RequestTime}, l)
}

// ServeHTTP answers those who connect to l until ctx ends, which is no error.
// Then it closes l, and the contexts of requests under way have ended.
func ServeHTTP(ctx context.Context, srv *http.Server, l net.Listener) error {
	srv.BaseContext = func(net.Listener) context.Context { return ctx }
	ended := make(chan error, 1)
	go func() { ended <- srv.Serve(l) }()
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
	}
	sctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastWords)
	defer cancel()
	if err := srv.Shutdown(sctx); err != nil {
		err = srv.Close() // a client that takes nothing is cut off
		if err != nil {
			return err
		}
	}
	<-ended
	return nil
}

// Answer writes v as JSON. A client that has gone is not an error of ours.
func Answer(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v)
}

// Refuse answers that a request was not done, and why.
func Refuse(w http.ResponseWriter, status int, err error) {
	Answer(w, status, answerOf(err))
}

// Decode reads the body of a request. A key that this node does not know is an
// error: the client, perhaps of a later release, would think it was heeded.
func Decode(w http.ResponseWriter, r *http.Request, into any) error {
	d := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxBody))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		return fmt.Errorf("read request: %w", err)
	}
	return nil
}

func (s server) status(w http.ResponseWriter, _ *http.Request) {
	status, err := s.Status()
	if err != nil {
		Refuse(w, http.StatusInternalServerError, err)
		return
	}
	Answer(w, http.StatusOK, status)
}

func (s server) peers(w http.ResponseWriter, _ *http.Request) {
	names := []PeerName{}
	for _, p := range s.Subject().Tunnel.Peers() {
		if p.Configured {
			names = append(names, PeerName{p.Key, p.Name})
		}
	}
	Answer(w, http.StatusOK, names)
}

// look answers with what is found out of a request.
func look[Request, Report any](w http.ResponseWriter, r *http.Request, it Served,
	find func(context.Context, explain.Subject, Request) (Report, error)) {
	var req Request
	if err := Decode(w, r, &req); err != nil {
		Refuse(w, http.StatusBadRequest, err)
		return
	}
	report, err := find(r.Context(), it.Subject(), req)
	if err != nil {
		Refuse(w, http.StatusInternalServerError, err)
		return
	}
	Answer(w, http.StatusOK, report)
}

// compileBoth compiles the words of a filter of events and of what the kernel drops; nil where
// there are none.
func (s server) compileBoth(words []string) (*filter.Both, error) {
	if len(words) == 0 {
		return nil, nil
	}
	return filter.CompileBoth(words, filter.Among(s.filterPeers()), nil)
}

// filterPeers are the peers as a filter can name them, also those that were removed: the past
// may be about them.
func (s server) filterPeers() []filter.Peer {
	var peers []filter.Peer
	for _, p := range s.Subject().Tunnel.Peers() {
		peers = append(peers, filter.Peer{ID: p.ID, Key: p.Key, Name: p.Name})
	}
	return peers
}

// compile makes what a subscription matches by; nil for all. A filter can name also peers
// that were removed: the past may be about them.
func (s server) compile(words []string) (func(*probe.Event) bool, error) {
	if len(words) == 0 {
		return nil, nil
	}
	f, err := filter.Compile(words, filter.Among(s.filterPeers()))
	if err != nil {
		return nil, err
	}
	return f.Match, nil
}
