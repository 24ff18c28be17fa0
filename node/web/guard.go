package web

import (
	"crypto/rand"
	"crypto/subtle"
	"errors"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"

	"github.com/wgnode/wgnode/node/control"
	"github.com/wgnode/wgnode/node/exporter"
)

// policy is what the page may do in a browser: run its own scripts, and ask its own server.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; " +
	"frame-ancestors 'none'; base-uri 'none'; form-action 'none'"

// drawingPolicy is that of a drawing which is looked at by itself: it has its own styles.
const drawingPolicy = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; sandbox"

// secrets are what lets a browser in.
type secrets struct {
	token   string // in the link
	session string // in the cookie
	base    string // the path of all that is served, "/w/SECRET/"
}

func newSecrets() secrets {
	return secrets{rand.Text(), rand.Text(), "/w/" + rand.Text()[:16] + "/"}
}

const cookieName = "wgnode"

var (
	errOtherHost   = errors.New("the request names another host than this one")
	errNotFromPage = errors.New("the request does not come from the page")
	errNoSession   = errors.New("open the link that `wgnode web` has printed: it is of this run")
	errMethod      = errors.New("no such question")
)

// guard answers who may not ask, and has h answer the others.
type guard struct {
	secrets
	remote bool
	h      http.Handler
}

// ServeHTTP implements http.Handler.
func (g *guard) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	head := w.Header()
	head.Set("Content-Security-Policy", policy)
	head.Set("X-Content-Type-Options", "nosniff")
	head.Set("Referrer-Policy", "no-referrer")
	head.Set("Cross-Origin-Opener-Policy", "same-origin")
	head.Set("Cross-Origin-Resource-Policy", "same-origin")
	head.Set("Permissions-Policy", "camera=(), geolocation=(), microphone=(), usb=()")
	head.Set("Cache-Control", "no-store")
	isLook := r.Method == http.MethodGet || r.Method == http.MethodHead
	switch {
	case !g.isOwnHost(r.Host):
		control.Refuse(w, http.StatusMisdirectedRequest, errOtherHost)
	case !isLook && r.Method != http.MethodPost && r.Method != http.MethodDelete:
		head.Set("Allow", "GET, HEAD, POST, DELETE")
		control.Refuse(w, http.StatusMethodNotAllowed, errMethod)
	case r.URL.Path == "/" && isLook:
		g.enter(w, r)
	case !g.isLetIn(r):
		g.turnAway(w, r)
	case !isLook && !isFromPage(r), strings.HasPrefix(r.URL.Path, g.base+"api/") && isFromElsewhere(r):
		control.Refuse(w, http.StatusForbidden, errNotFromPage)
	default:
		g.h.ServeHTTP(w, r)
	}
}

// enter exchanges the link's token for a cookie. The address that stays in the browser is
// without it.
func (g *guard) enter(w http.ResponseWriter, r *http.Request) {
	if token := r.URL.Query().Get("token"); !same(token, g.token) {
		g.turnAway(w, r)
		return
	}
	http.SetCookie(w, &http.Cookie{Name: cookieName, Value: g.session, Path: g.base, HttpOnly: true, SameSite: http.SameSiteStrictMode})
	http.Redirect(w, r, g.base, http.StatusSeeOther)
}

// turnAway says what is missing, to a person as a page.
func (g *guard) turnAway(w http.ResponseWriter, r *http.Request) {
	if !isForPerson(r) {
		control.Refuse(w, http.StatusUnauthorized, errNoSession)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	page := "<!doctype html><html lang=en><title>wgnode</title><h1>wgnode</h1>" +
		"<p>Open the link that <code>wgnode web</code> has printed. It is good as long as that runs.</p>"
	if strings.HasPrefix(r.URL.Path, g.base) && r.Header.Get("Sec-Fetch-Site") == "cross-site" {
		// The link was in another page, or in a file, and a strict cookie does not come with that. It
		// does when this page leads to where it was going.
		w.Header().Set("Refresh", "0")
	}
	w.WriteHeader(http.StatusUnauthorized)
	_, _ = io.WriteString(w, page) // who has gone needs no word
}

// isForPerson reports whether a browser shows the answer by itself. One that does not say so asks for
// HTML, among others.
func isForPerson(r *http.Request) bool {
	return r.Header.Get("Sec-Fetch-Dest") == "document" || r.Header.Get("Sec-Fetch-Mode") == "navigate" ||
		strings.Contains(r.Header.Get("Accept"), "text/html")
}

func (g *guard) isLetIn(r *http.Request) bool {
	c, err := r.Cookie(cookieName)
	return err == nil && same(c.Value, g.session)
}

// same compares secrets in a time that tells nothing of them.
func same(a, b string) bool { return subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1 }

// isOwnHost reports whether a Host header is one that no name server can lead elsewhere: loopback,
// or where other hosts may ask, any address.
func (g *guard) isOwnHost(header string) bool {
	if header == "" {
		return false
	}
	if exporter.IsLoopbackHost(header) {
		return true
	}
	host, _, err := net.SplitHostPort(header)
	if err != nil {
		host = strings.Trim(header, "[]")
	}
	_, err = netip.ParseAddr(host)
	return g.remote && err == nil
}

// isFromPage reports whether the page itself has made a request, and no other one.
func isFromPage(r *http.Request) bool {
	origin, err := url.Parse(r.Header.Get("Origin"))
	return err == nil && origin.Scheme == "http" && origin.Host == r.Host && !isFromElsewhere(r)
}

// isFromElsewhere reports whether a browser says that another page has made a request.
func isFromElsewhere(r *http.Request) bool {
	site := r.Header.Get("Sec-Fetch-Site")
	return site != "" && site != "same-origin"
}
