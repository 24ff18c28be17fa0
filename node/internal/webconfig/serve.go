package webconfig

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"io"
	"log"
	"net"
	"net/http"
	"sync"

	"golang.org/x/crypto/bcrypt"
	"golang.org/x/time/rate"
)

// Gate is a listener whose configuration can be replaced while it is served.
type Gate struct {
	net.Listener

	mu   sync.Mutex
	now  *Config           // guarded by mu
	idle map[net.Conn]bool // connections without a request; guarded by mu
}

// NewGate returns the gate of a listener; c may be nil, for plain HTTP and whoever can connect.
func NewGate(l net.Listener, c *Config) *Gate {
	return &Gate{Listener: l, now: c, idle: make(map[net.Conn]bool)}
}

// Replace has c count from now on. Connections that were made by what counted before end; those
// that are answered, after the answer.
func (g *Gate) Replace(c *Config) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.now == nil && c == nil {
		return
	}
	g.now = c
	for conn := range g.idle {
		_ = conn.Close() // nothing is being written
	}
}

// Config is the one that counts, which may be nil.
func (g *Gate) Config() *Config {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.now
}

// made is a connection, and by which configuration it was made.
type made struct {
	net.Conn
	by *Config
}

// Accept implements [net.Listener]. The handshake is the server's, which bounds its time.
func (g *Gate) Accept() (net.Conn, error) {
	conn, err := g.Listener.Accept()
	if err != nil {
		return nil, err
	}
	m := &made{conn, g.Config()}
	if t := m.by.TLS(); t != nil {
		return tls.Server(m, t), nil
	}
	return m, nil
}

type madeKey struct{}

// Serve has a server that serves the gate answer those who are allowed to ask.
func (g *Gate) Serve(srv *http.Server) {
	srv.ConnContext = func(ctx context.Context, conn net.Conn) context.Context {
		if t, ok := conn.(*tls.Conn); ok {
			conn = t.NetConn()
		}
		return context.WithValue(ctx, madeKey{}, conn.(*made).by)
	}
	srv.ConnState = func(conn net.Conn, state http.ConnState) {
		g.mu.Lock()
		defer g.mu.Unlock()
		if state == http.StateIdle {
			g.idle[conn] = true
		} else {
			delete(g.idle, conn)
		}
	}
	srv.Handler = g.handler(srv.Handler)
	srv.ErrorLog = log.New(io.Discard, "", 0) // strangers could fill it with handshakes that fail
}

func (g *Gate) handler(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c := g.Config()
		if c != r.Context().Value(madeKey{}) {
			w.Header().Set("Connection", "close")
			refuse(w, http.StatusMisdirectedRequest)
			return
		}
		if c == nil {
			h.ServeHTTP(w, r)
			return
		}
		if c.limit != nil && !c.limit.Allow() {
			refuse(w, http.StatusTooManyRequests)
			return
		}
		for key, value := range c.headers {
			w.Header().Set(key, value)
		}
		switch c.users.ask(r) {
		case allowed:
			h.ServeHTTP(w, r)
		case later:
			refuse(w, http.StatusTooManyRequests)
		default:
			w.Header().Set("WWW-Authenticate", "Basic")
			refuse(w, http.StatusUnauthorized)
		}
	})
}

func refuse(w http.ResponseWriter, status int) { http.Error(w, http.StatusText(status), status) }

// answer is what becomes of a request.
type answer int

const (
	refused answer = iota
	allowed
	later // too many others have tried
)

// A password is hashed slowly on purpose, so that strangers could keep a processor busy by sending
// wrong ones. So these are how many are tried a second, by all together. Whose password was right
// before is known without a try.
const (
	tries      = 5
	triesBurst = 20
)

// users are those who may ask. A nil users is everybody.
type users struct {
	hashes map[string][]byte // by name, with bcrypt
	dummy  []byte            // the hash that the password of an unknown name is held against
	limit  *rate.Limiter
	key    [sha256.Size]byte

	trying sync.Mutex // one at a time has a processor
	mu     sync.Mutex
	right  map[string][sha256.Size]byte // by name: a hash by key of the password that was right; guarded by mu
}

func newUsers[T ~string](hashes map[string]T) *users {
	if len(hashes) == 0 {
		return nil
	}
	u := &users{hashes: make(map[string][]byte), right: make(map[string][sha256.Size]byte), limit: rate.NewLimiter(tries, triesBurst)}
	for name, hash := range hashes {
		u.hashes[name] = []byte(hash)
		u.dummy = []byte(hash) // as slow as theirs, so that the time does not tell who there is
	}
	_, _ = rand.Read(u.key[:]) // which never fails
	return u
}

func (u *users) ask(r *http.Request) answer {
	if u == nil {
		return allowed
	}
	name, password, given := r.BasicAuth()
	if !given {
		return refused
	}
	mac := hmac.New(sha256.New, u.key[:])
	mac.Write([]byte(password))
	sum := [sha256.Size]byte(mac.Sum(nil))
	u.mu.Lock()
	right, known := u.right[name]
	u.mu.Unlock()
	if known && hmac.Equal(right[:], sum[:]) {
		return allowed
	}
	if !u.limit.Allow() {
		return later
	}
	hash, ok := u.hashes[name]
	if !ok {
		hash = u.dummy
	}
	u.trying.Lock()
	err := bcrypt.CompareHashAndPassword(hash, []byte(password))
	u.trying.Unlock()
	if err != nil || !ok {
		return refused
	}
	u.mu.Lock()
	u.right[name] = sum
	u.mu.Unlock()
	return allowed
}
