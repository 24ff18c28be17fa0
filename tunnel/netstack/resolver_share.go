package netstack

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"slices"
	"strings"

	"golang.org/x/net/dns/dnsmessage"
)

// question is what one asks for.
type question struct {
	name string // in lower case
	typ  dnsmessage.Type
}

// asking is a question on its way.
type asking struct {
	done    chan struct{} // closed when there is an answer
	addrs   []netip.Addr  // valid once done is closed, as err is
	err     error
	waiting int                // who waits for it, guarded by the resolver's lock
	cancel  context.CancelFunc // for when nobody does any more
}

// share asks one question, or waits for the answer to the same one that somebody else
// has just asked: a thousand connections to one host are not a thousand packets at once,
// of which the tunnel would drop most.
func (r *Resolver) share(ctx context.Context, name dnsmessage.Name, t dnsmessage.Type) ([]netip.Addr, error) {
	q := question{strings.ToLower(name.String()), t}
	r.mu.Lock()
	a := r.asked[q]
	if a == nil {
		a = r.begin(ctx, q, name)
	}
	a.waiting++
	r.mu.Unlock()

	select {
	case <-a.done:
		return slices.Clone(a.addrs), a.err
	case <-ctx.Done():
	}
	r.mu.Lock()
	if a.waiting--; a.waiting == 0 {
		r.forget(q, a)
		a.cancel()
	}
	r.mu.Unlock()
	err := ctx.Err()
	return nil, &net.DNSError{UnwrapErr: err, Err: err.Error(), Name: name.String(),
		IsTemporary: true, IsTimeout: errors.Is(err, context.DeadlineExceeded)}
}

// begin asks on behalf of all who will wait, as long as one of them does. The caller
// holds the lock.
func (r *Resolver) begin(ctx context.Context, q question, name dnsmessage.Name) *asking {
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	a := &asking{done: make(chan struct{}), cancel: cancel}
	if r.asked == nil {
		r.asked = make(map[question]*asking)
	}
	r.asked[q] = a
	go func() {
		defer cancel()
		a.addrs, a.err = r.ask(ctx, name, q.typ)
		r.mu.Lock()
		r.forget(q, a)
		r.mu.Unlock()
		close(a.done)
	}()
	return a
}

// forget has the next one ask anew. The caller holds the lock.
func (r *Resolver) forget(q question, a *asking) {
	if r.asked[q] == a {
		delete(r.asked, q)
	}
}
