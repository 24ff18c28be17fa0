// Package web shows the tunnels of this host as a page in a browser, from this program alone.
//
//	browser ── guard ── pages and assets
//	                 ├─ questions (JSON) ── control.Client ── a node, or a device of the kernel's
//	                 ├─ live views (server-sent events)
//	                 └─ recordings: files that were named, or dropped onto the page
//
// # Who may look
//
// What the page shows is for its user alone, and other programs and users of the host can reach
// a port of loopback, as can every page in the user's browser. So:
//
//   - a link with a secret, printed once, exchanges it for a cookie; nothing is served without that;
//   - the cookie is of a path that nobody else knows. A browser sends cookies to every port of a
//     host, and another program's server would get it with a request that the user makes there;
//   - a request must be for this host by a name that no name server can turn elsewhere, or by an
//     address (DNS rebinding);
//   - what does more than look must come from the page itself: Origin, and Sec-Fetch-Site where
//     a browser says it;
//   - the page runs no script and asks no server but its own (Content-Security-Policy).
//
// Who asks is not logged, so that the secret is in no log.
//
// # What may be done
//
// Nothing is changed unless [Options.AllowChanges]. An explanation and a trace send a probe, as
// the commands do. Steps of a fix are never taken from the browser: it names an explanation that
// this server has made, and what that says is done.
//
// # Text of others
//
// Names of peers, rules and errors go to the browser as JSON, and there become text, never
// markup. Drawings are shown as images, in which a browser runs no script.
package web
