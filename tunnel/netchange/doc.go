// Package netchange tells that this host's network has changed: a link, an
// address, a route or a rule (rtnetlink(7)). It does not say what: whoever
// wants to know looks, and so cannot be misled by an announcement that was lost.
package netchange
