package exporter

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"golang.org/x/net/netutil"

	"github.com/wgnode/wgnode/node/config"
	"github.com/wgnode/wgnode/node/control"
	"github.com/wgnode/wgnode/node/internal/webconfig"
	"github.com/wgnode/wgnode/node/port"
	"github.com/wgnode/wgnode/node/unixsocket"
)

// Scrapes are worked at, at a time.
const Scrapes = 4

const (
	answerTime = 30 * time.Second // for a client to take an answer
	idleTime   = 2 * time.Minute  // between two scrapes of one connection

	// maxClients is how many clients are connected at a time, whoever they are on
	// this host; further ones wait.
	maxClients = 64
	maxHeader  = 16 << 10 // bytes
)

// Place is where health and metrics are served, and to whom.
type Place struct {
	config.Listen
	// WebConfig is the file that says who may ask, as package webconfig has it. "" is none: whoever
	// can on this host, and nobody else.
	WebConfig string
}

// Check says what is wrong with the file, and nothing of whether the address can be listened at.
func (p Place) Check() error {
	_, err := p.read()
	return err
}

// read reads who may ask. The error says, too, why others must not be let in.
func (p Place) read() (web *webconfig.Config, err error) {
	if p.WebConfig != "" {
		if web, err = webconfig.Read(p.WebConfig); err != nil {
			return nil, err
		}
	}
	if p.Beyond() {
		if err := web.Guards(); err != nil {
			return nil, fmt.Errorf("serve metrics at %s: %w", p.Listen, err)
		}
	}
	return web, nil
}

// Listener is where health and metrics are served. A nil Listener is none.
type Listener struct {
	net.Listener
	at   config.Listen
	gate *webconfig.Gate
}

// Listen begins to listen, nowhere if at is zero. Clients are answered once it is served.
func Listen(p Place) (*Listener, error) {
	at := p.Listen
	if at.IsZero() {
		return nil, nil
	}
	web, err := p.read()
	if err != nil {
		return nil, err
	}
	var l net.Listener
	switch at.Network {
	case "unix":
		l, err = unixsocket.Listen(at.Address)
	default:
		l, err = net.Listen(at.Network, at.Address)
	}
	if err != nil {
		return nil, fmt.Errorf("listen for metrics: %w", port.ExplainListen(err, "tcp", at.Address))
	}
	served := &Listener{Listener: l, at: at}
	served.gate = webconfig.NewGate(netutil.LimitListener(served, maxClients), web)
	return served, nil
}

// At is what it was opened with; zero for none.
func (l *Listener) At() config.Listen {
	if l == nil {
		return config.Listen{}
	}
	return l.at
}

// Close implements [net.Listener]. Further calls do nothing.
func (l *Listener) Close() error {
	if l == nil {
		return nil
	}
	return unixsocket.Close(l.Listener)
}

// Serve has h answer until ctx ends, and closes l. Requests for other hosts than this one are
// answered where their names are known.
func (l *Listener) Serve(ctx context.Context, h http.Handler, known func(host string) bool) error {
	srv := &http.Server{Handler: knownHosts(l.at, known, h), MaxHeaderBytes: maxHeader,
		ReadHeaderTimeout: control.RequestTime, ReadTimeout: control.RequestTime, WriteTimeout: answerTime, IdleTimeout: idleTime}
	l.gate.Serve(srv)
	return control.ServeHTTP(ctx, srv, l.gate)
}

// knownHosts has h answer requests that are for this host by its name, or by one that is
// known. A page in a browser of this host can have the browser ask for the page's own name,
// which leads to loopback, and read the answer (DNS rebinding). Nothing leads a browser to a
// Unix socket, and a page that has the address for its name is this host's own.
func knownHosts(at config.Listen, known func(host string) bool, h http.Handler) http.Handler {
	if at.Network == "unix" {
		return h
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if host := hostOf(r.Host); host != "" && !IsLoopbackHost(r.Host) && !asked(r, host) && !known(host) {
			control.Refuse(w, http.StatusMisdirectedRequest, errOtherHost)
			return
		}
		h.ServeHTTP(w, r)
	})
}

// asked reports whether a request is for the very address that it came to.
func asked(r *http.Request, host string) bool {
	to, ok := r.Context().Value(http.LocalAddrContextKey).(*net.TCPAddr)
	a, err := netip.ParseAddr(host)
	return ok && err == nil && a.Unmap() == to.AddrPort().Addr().Unmap()
}

var errOtherHost = errors.New("the request names another host; to answer to that name, add it to hosts under [metrics], " +
	"or use --metrics-host")

// hostOf is the name in a Host header, without a port, "" if there is none.
func hostOf(header string) string {
	host, _, err := net.SplitHostPort(header)
	if err != nil {
		host = strings.TrimSuffix(strings.TrimPrefix(header, "["), "]")
	}
	return strings.ToLower(strings.TrimSuffix(host, "."))
}

// IsLoopbackHost reports whether a Host header can mean only this host itself.
func IsLoopbackHost(header string) bool {
	host := hostOf(header)
	a, err := netip.ParseAddr(host)
	return host == "localhost" || strings.HasSuffix(host, ".localhost") || err == nil && a.Unmap().IsLoopback()
}
