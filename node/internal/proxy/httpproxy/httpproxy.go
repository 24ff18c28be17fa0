package httpproxy

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/wgnode/wgnode/node/internal/proxy"
)

const (
	maxHeader = 64 << 10        // bytes
	idleTime  = 2 * time.Minute // for the next request of a client or to a server
)

// Serve serves clients that connect to l, which it closes in the end, and
// reaches what they want through to. They must know c, if that is not zero. It
// returns nil when ctx has ended and all that it began.
func Serve(ctx context.Context, l net.Listener, to proxy.Network, c proxy.Credentials, o proxy.Options) error {
	o = o.WithDefaults()
	transport := &http.Transport{
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			ctx, cancel := context.WithTimeout(ctx, o.DialTime)
			defer cancel()
			return to.DialContext(ctx, network, address)
		},
		DisableCompression: true, // what the server sends is the client's
		IdleConnTimeout:    idleTime, MaxIdleConns: 64, MaxIdleConnsPerHost: 8,
		MaxResponseHeaderBytes: maxHeader,
	}
	defer transport.CloseIdleConnections()
	h := &handler{to: to, creds: c, opt: o}
	h.plain = &httputil.ReverseProxy{
		Transport: transport, FlushInterval: -1, ErrorHandler: h.failed, Rewrite: rewrite,
		ErrorLog: slog.NewLogLogger(o.Logger.Handler(), slog.LevelDebug),
	}
	srv := &http.Server{
		Handler: h, ReadHeaderTimeout: o.HandshakeTime, IdleTimeout: idleTime, MaxHeaderBytes: maxHeader,
		BaseContext: func(net.Listener) context.Context { return ctx },
		ErrorLog:    slog.NewLogLogger(o.Logger.Handler(), slog.LevelDebug),
	}
	conns := newLimited(l, o.MaxConns)
	stop := context.AfterFunc(ctx, func() { _ = srv.Close() }) // Serve tells
	defer stop()
	err := srv.Serve(conns)
	_ = srv.Close() // again, for the case that it has failed
	h.tunnels.Wait()
	conns.wait()
	if ctx.Err() != nil {
		return nil
	}
	return fmt.Errorf("serve HTTP proxy at %s: %w", l.Addr(), err)
}

type handler struct {
	to      proxy.Network
	creds   proxy.Credentials
	opt     proxy.Options
	plain   *httputil.ReverseProxy
	tunnels sync.WaitGroup
}

func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !h.admits(r) {
		h.opt.Logger.Info("http proxy: no user and password, or wrong ones", "client", r.RemoteAddr)
		w.Header().Set("Proxy-Authenticate", `Basic realm="wgnode", charset="UTF-8"`)
		http.Error(w, "wgnode: this proxy wants a user and a password", http.StatusProxyAuthRequired)
		return
	}
	switch {
	case r.Method == http.MethodConnect:
		h.connect(w, r)
	case r.URL.Scheme == "http" && r.URL.Host != "":
		if err := proxy.CheckTarget(withPort(r.URL)); err != nil {
			http.Error(w, "wgnode: "+err.Error(), http.StatusBadRequest)
			return
		}
		h.plain.ServeHTTP(w, r)
	default:
		http.Error(w, "wgnode: this is a proxy: it supports CONNECT HOST:PORT, and requests for http://HOST/", http.StatusBadRequest)
	}
}

// withPort is where the transport will dial for u. It takes what url.Parse lets
// through for a host, brackets that do not match among it.
func withPort(u *url.URL) string {
	if u.Port() == "" {
		return strings.TrimSuffix(u.Host, ":") + ":80"
	}
	return u.Host
}

// admits reports whether the client knows what it must.
func (h *handler) admits(r *http.Request) bool {
	if !h.creds.Required() {
		return true
	}
	scheme, text, _ := strings.Cut(r.Header.Get("Proxy-Authorization"), " ")
	pair, err := base64.StdEncoding.DecodeString(strings.TrimSpace(text))
	user, password, ok := strings.Cut(string(pair), ":")
	return h.creds.Match(user, password) && ok && err == nil && strings.EqualFold(scheme, "Basic")
}

func (h *handler) connect(w http.ResponseWriter, r *http.Request) {
	if err := proxy.CheckTarget(r.Host); err != nil {
		http.Error(w, "wgnode: CONNECT wants HOST:PORT: "+err.Error(), http.StatusBadRequest)
		return
	}
	dctx, cancel := context.WithTimeout(r.Context(), h.opt.DialTime)
	far, err := h.to.DialContext(dctx, "tcp", r.Host)
	cancel()
	if err != nil {
		h.failed(w, r, err)
		return
	}
	h.tunnels.Add(1)
	defer h.tunnels.Done()
	defer far.Close() // for the paths that do not get to the relay
	near, rw, err := http.NewResponseController(w).Hijack()
	if err != nil {
		http.Error(w, "wgnode: CONNECT needs HTTP/1.1", http.StatusHTTPVersionNotSupported)
		return
	}
	defer near.Close() // as above
	err = begin(near, rw.Reader, far)
	if err == nil {
		// The server's context of a request outlasts the hijacking of its
		// connection, and ends with that of Serve.
		err = proxy.Relay(r.Context(), near, far)
	}
	if err != nil {
		h.opt.Logger.Debug("http proxy: connection broke", "client", r.RemoteAddr, "to", r.Host, "error", err)
	}
}

// begin answers the client, and passes on what it has sent in haste.
func begin(near net.Conn, sent interface {
	io.Reader
	Buffered() int
}, far net.Conn) error {
	if err := near.SetDeadline(time.Time{}); err != nil {
		return err
	}
	if _, err := io.WriteString(near, "HTTP/1.1 200 Connection established\r\n\r\n"); err != nil {
		return err
	}
	_, err := io.CopyN(far, sent, int64(sent.Buffered()))
	return err
}

// rewrite leaves a request as it is but for what concerns proxies, which
// ReverseProxy takes away.
func rewrite(r *httputil.ProxyRequest) {
	r.Out.Host = r.In.Host
	r.Out.URL.RawQuery = r.In.URL.RawQuery
	for _, name := range []string{"Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto"} {
		if values, ok := r.In.Header[name]; ok {
			r.Out.Header[name] = values
		}
	}
}

// failed tells the client why there is no answer.
func (h *handler) failed(w http.ResponseWriter, r *http.Request, err error) {
	if r.Context().Err() != nil {
		return // nobody is listening
	}
	h.opt.Logger.Info("http proxy", "client", r.RemoteAddr, "error", err)
	status := http.StatusBadGateway
	var timeout net.Error
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, os.ErrDeadlineExceeded) || errors.As(err, &timeout) && timeout.Timeout() {
		status = http.StatusGatewayTimeout
	}
	http.Error(w, "wgnode: "+err.Error(), status)
}
