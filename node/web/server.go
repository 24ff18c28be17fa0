package web

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"time"

	"golang.org/x/net/netutil"

	"github.com/wgnode/wgnode/node/control"
	"github.com/wgnode/wgnode/node/repair"
)

const (
	maxConns   = 64        // that are open at a time; further ones wait
	maxStreams = 16        // live views at a time; further ones are refused
	maxWork    = 4         // explanations and the like at a time; further ones wait
	maxHeader  = 16 << 10  // bytes
	maxBody    = 64 << 10  // bytes of a question
	maxUpload  = 512 << 20 // bytes of all recordings that are kept

	answerTime = 2 * time.Minute  // for an answer
	workTime   = 10 * time.Minute // for one that takes long recordings, or slow lines
	idleTime   = 2 * time.Minute  // between two requests of one connection
)

// Options say what is shown.
type Options struct {
	// Names are the tunnels that are shown; none: all of this host.
	Names []string
	// Host begins to look at this host, until ctx ends.
	Host func(ctx context.Context) Host
	// Target reads a destination as the command explain does: an address, or the name of a peer
	// or of a host.
	Target func(ctx context.Context, tunnel, dest string) (target netip.AddrPort, udp bool, err error)
	// Recordings are the files that are shown beside the tunnels.
	Recordings []string
	// Remote has hosts ask that are not this one.
	Remote bool
	// Changes is what may be changed; nil: nothing.
	Changes *Changes
	// Logger gets what goes wrong. Nil is for none.
	Logger *slog.Logger
}

// Changes are what the page may have done.
type Changes struct {
	// Fixes is the journal of fixes that are applied.
	Fixes repair.Journal
}

// Server serves the page.
type Server struct {
	opt     Options
	secrets secrets
	looking looking
	files   files
	drawn   drawings
	told    reports
	streams chan struct{} // one for each that runs
	work    chan struct{} // one for each piece of work

	changing sync.Mutex // held while a fix is applied
}

// New returns a server. Close must be called in the end.
func New(o Options) *Server {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	s := &Server{opt: o, secrets: newSecrets(), streams: make(chan struct{}, maxStreams), work: make(chan struct{}, maxWork)}
	s.looking.begin = o.Host
	for _, path := range o.Recordings {
		s.files.add(named(path))
	}
	return s
}

// Link is what lets a browser in at an address of the listener. It is a secret.
func (s *Server) Link(l net.Listener) string {
	return "http://" + hostAt(l) + "/?token=" + s.secrets.token
}

// hostAt is what a browser of this host calls a listener.
func hostAt(l net.Listener) string {
	tcp, ok := l.Addr().(*net.TCPAddr)
	if !ok {
		return fmt.Sprintf("127.0.0.1:%d", DefaultPort) // where a forward of ssh would lead to the socket
	}
	at := tcp.AddrPort()
	if at.Addr().IsUnspecified() {
		return netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), at.Port()).String()
	}
	return netip.AddrPortFrom(at.Addr().Unmap(), at.Port()).String()
}

// Serve answers until ctx ends, which is no error, and closes l.
func (s *Server) Serve(ctx context.Context, l net.Listener) error {
	srv := &http.Server{Handler: s.Handler(), MaxHeaderBytes: maxHeader, ReadHeaderTimeout: control.RequestTime,
		ReadTimeout: answerTime, WriteTimeout: answerTime, IdleTimeout: idleTime,
		ErrorLog: slog.NewLogLogger(s.opt.Logger.Handler(), slog.LevelDebug)}
	return control.ServeHTTP(ctx, srv, netutil.LimitListener(l, maxConns))
}

// Close lets go of the tunnels, and of the recordings that were dropped onto the page.
func (s *Server) Close() error {
	s.looking.close()
	return s.files.close()
}

//go:embed assets
var embedded embed.FS

// views are the names of pages. All of them are one document, which shows what its address says.
var views = []string{"", "peer", "flow", "explain", "trace", "recordings", "recording", "verdicts", "verdict"}

// Handler answers browsers.
func (s *Server) Handler() http.Handler {
	mux, base := http.NewServeMux(), s.secrets.base
	page := s.asset("index.html")
	for _, v := range views {
		if v == "" {
			v = "{$}"
		}
		mux.HandleFunc("GET "+base+v, page)
	}
	entries, err := fs.ReadDir(embedded, "assets")
	if err != nil {
		panic(err) // they are in the program
	}
	for _, e := range entries {
		mux.HandleFunc("GET "+base+"assets/"+e.Name(), s.asset(e.Name()))
	}
	s.questions(mux, base+"api/")
	return &guard{secrets: s.secrets, remote: s.opt.Remote, h: mux}
}

// asset answers with an embedded file.
func (s *Server) asset(name string) http.HandlerFunc {
	types := map[string]string{"html": "text/html", "js": "text/javascript", "css": "text/css", "svg": "image/svg+xml"}
	_, suffix, _ := strings.Cut(name, ".")
	body, err := embedded.ReadFile("assets/" + name)
	if err != nil {
		panic(err) // it is in the program
	}
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", types[suffix]+"; charset=utf-8")
		_, _ = w.Write(body) // who has gone needs no word
	}
}

// do has no more than some pieces of work done at a time. It reports false if r ends before its
// turn.
func (s *Server) do(ctx context.Context, work func()) error {
	select {
	case s.work <- struct{}{}:
	case <-ctx.Done():
		return fmt.Errorf("wait for others' questions: %w", ctx.Err())
	}
	defer func() { <-s.work }()
	work()
	return nil
}

// badQuestion: what is asked makes no sense, so that asking again does not help.
type badQuestion struct{ error }

// Unwrap returns the cause.
func (e badQuestion) Unwrap() error { return e.error }

// ask answers a question with JSON, or says why not.
func ask(find func(w http.ResponseWriter, r *http.Request) (any, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		rc, until := http.NewResponseController(w), time.Now().Add(workTime)
		// Without, the usual times hold.
		_, _ = rc.SetReadDeadline(until), rc.SetWriteDeadline(until)
		answer, err := find(w, r)
		if err != nil {
			refuseQuestion(w, err)
			return
		}
		control.Answer(w, http.StatusOK, answer)
	}
}

func refuseQuestion(w http.ResponseWriter, err error) {
	status := http.StatusInternalServerError
	if _, bad := errors.AsType[badQuestion](err); bad {
		status = http.StatusBadRequest
	}
	control.Refuse(w, status, err)
}
