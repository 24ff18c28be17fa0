package netstack

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/net/dns/dnsmessage"
)

const (
	dnsTime     = 4 * time.Second // for one server to answer, a handshake included
	dnsAttempts = 2               // of each server
	dnsMax      = 65535           // bytes of a message, RFC 1035 4.2.2
)

// Resolver asks DNS servers (RFC 1035) by the dialer that it is given, and by
// nothing else: the system's files and servers have no part in it. Nobody may
// change one that is in use; its methods are safe for concurrent use. The zero
// Resolver knows only addresses.
type Resolver struct {
	// Dial reaches the servers, by udp and tcp: [Net.DialContext].
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
	// Servers are asked in this order, until one answers.
	Servers []netip.AddrPort
	// Search are domains that names are looked for in: those without a dot
	// there first, others there last, those that end in a dot never.
	Search []string
	// PreferIPv4 puts IPv4 addresses first; else it is IPv6.
	PreferIPv4 bool

	mu    sync.Mutex
	asked map[question]*asking // of which the answer is awaited
}

// LookupNetIP returns the addresses of host, at least one if there is no error.
// network is ip, ip4 or ip6. An address is its own. The error is a
// *net.DNSError, whose IsNotFound says that there is no such name.
func (r *Resolver) LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error) {
	types, ok := map[string][]dnsmessage.Type{
		"ip":  {dnsmessage.TypeAAAA, dnsmessage.TypeA},
		"ip4": {dnsmessage.TypeA},
		"ip6": {dnsmessage.TypeAAAA},
	}[network]
	if !ok {
		return nil, net.UnknownNetworkError(network)
	}
	if a, err := netip.ParseAddr(host); err == nil {
		if a = a.Unmap(); network != "ip" && a.Is4() != (network == "ip4") {
			return nil, &net.DNSError{Err: "no address of that family", Name: host, IsNotFound: true}
		}
		return []netip.Addr{a}, nil
	}
	if len(r.Servers) == 0 {
		return nil, &net.DNSError{Err: "the tunnel has no DNS server", Name: host}
	}
	if r.PreferIPv4 && len(types) == 2 {
		slices.Reverse(types)
	}
	var last error = &net.DNSError{Err: "not a name", Name: host, IsNotFound: true}
	for _, full := range r.candidates(host) {
		name, err := dnsmessage.NewName(full)
		if err != nil || !valid(full) {
			continue
		}
		addrs, err := r.both(ctx, name, types)
		if err == nil {
			return addrs, nil
		}
		dns, ok := errors.AsType[*net.DNSError](err)
		if !ok || !dns.IsNotFound {
			return nil, err // another name might be another host
		}
		named := *dns // others may have it, too
		named.Name, last = host, &named
	}
	return nil, last
}

// candidates are the full names that host may stand for, in order.
func (r *Resolver) candidates(host string) []string {
	if strings.HasSuffix(host, ".") {
		return []string{host}
	}
	var names []string
	for _, domain := range r.Search {
		names = append(names, host+"."+strings.Trim(domain, ".")+".")
	}
	if strings.Contains(host, ".") {
		return append([]string{host + "."}, names...)
	}
	return append(names, host+".")
}

// valid reports whether a name that ends in a dot has labels of 1 to 63 bytes
// and 255 in all (RFC 1035 2.3.4).
func valid(name string) bool {
	if len(name) > 254 {
		return false
	}
	for label := range strings.SplitSeq(strings.TrimSuffix(name, "."), ".") {
		if len(label) == 0 || len(label) > 63 {
			return false
		}
	}
	return true
}

// both asks for all types at once and returns what they give, in their order.
func (r *Resolver) both(ctx context.Context, name dnsmessage.Name, types []dnsmessage.Type) ([]netip.Addr, error) {
	found := make([][]netip.Addr, len(types))
	errs := make([]error, len(types))
	var wg sync.WaitGroup
	for i, t := range types {
		wg.Go(func() { found[i], errs[i] = r.share(ctx, name, t) })
	}
	wg.Wait()
	if addrs := slices.Concat(found...); len(addrs) > 0 {
		return addrs, nil // also if the other question failed, as Go's resolver does
	}
	for _, err := range errs {
		if dns, ok := errors.AsType[*net.DNSError](err); err != nil && (!ok || !dns.IsNotFound) {
			return nil, err
		}
	}
	return nil, &net.DNSError{Err: "no such host", Name: name.String(), IsNotFound: true}
}

// ask asks one question.
func (r *Resolver) ask(ctx context.Context, name dnsmessage.Name, t dnsmessage.Type) ([]netip.Addr, error) {
	var id [2]byte
	_, _ = rand.Read(id[:]) // never fails
	m := dnsmessage.Message{
		Header:    dnsmessage.Header{ID: binary.BigEndian.Uint16(id[:]), RecursionDesired: true},
		Questions: []dnsmessage.Question{{Name: name, Type: t, Class: dnsmessage.ClassINET}},
	}
	query, err := m.Pack()
	if err != nil {
		return nil, fmt.Errorf("make DNS question about %s: %w", name, err)
	}
	reply, err := r.Exchange(ctx, "udp", query)
	if err == nil && reply[2]&truncated != 0 {
		reply, err = r.Exchange(ctx, "tcp", query)
	}
	if err != nil {
		return nil, &net.DNSError{UnwrapErr: err, Err: err.Error(), Name: name.String(),
			IsTemporary: true, IsTimeout: errors.Is(err, context.DeadlineExceeded)}
	}
	if err := m.Unpack(reply); err != nil {
		return nil, &net.DNSError{UnwrapErr: err, Err: "malformed answer", Name: name.String(), IsTemporary: true}
	}
	switch m.RCode {
	case dnsmessage.RCodeSuccess:
	case dnsmessage.RCodeNameError:
		return nil, &net.DNSError{Err: "no such host", Name: name.String(), IsNotFound: true}
	default:
		return nil, &net.DNSError{Err: "server answers " + strings.TrimPrefix(m.RCode.String(), "RCode"), Name: name.String(), IsTemporary: true}
	}
	var addrs []netip.Addr
	for _, a := range m.Answers {
		switch b := a.Body.(type) {
		case *dnsmessage.AResource:
			addrs = append(addrs, netip.AddrFrom4(b.A))
		case *dnsmessage.AAAAResource:
			addrs = append(addrs, netip.AddrFrom16(b.AAAA))
		}
	}
	return addrs, nil
}

// truncated is the bit TC in the third byte of a message.
const truncated = 0x02

// Exchange sends one question, a whole message, to the servers in turn until one
// answers, by udp or tcp, and returns its answer as it is.
func (r *Resolver) Exchange(ctx context.Context, network string, query []byte) ([]byte, error) {
	if len(r.Servers) == 0 {
		return nil, errors.New("the tunnel has no DNS server")
	}
	var first error
	for range dnsAttempts {
		for _, s := range r.Servers {
			reply, err := r.exchange(ctx, network, s, query)
			if err == nil {
				return reply, nil
			}
			if first == nil {
				first = fmt.Errorf("ask DNS server %s: %w", s, err)
			}
			if ctx.Err() != nil {
				return nil, first
			}
		}
	}
	return nil, first
}

func (r *Resolver) exchange(ctx context.Context, network string, server netip.AddrPort, query []byte) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, dnsTime)
	defer cancel()
	c, err := r.Dial(ctx, network, server.String())
	if err != nil {
		return nil, err
	}
	defer c.Close() // all that counts has been read
	stop := context.AfterFunc(ctx, func() { _ = c.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	reply, err := roundTrip(c, network, query)
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	return reply, err
}

func roundTrip(c net.Conn, network string, query []byte) ([]byte, error) {
	if network == "tcp" {
		framed := append(binary.BigEndian.AppendUint16(nil, uint16(len(query))), query...)
		if _, err := c.Write(framed); err != nil {
			return nil, err
		}
		var length [2]byte
		if _, err := io.ReadFull(c, length[:]); err != nil {
			return nil, err
		}
		reply := make([]byte, binary.BigEndian.Uint16(length[:]))
		if _, err := io.ReadFull(c, reply); err != nil {
			return nil, err
		}
		if !answers(reply, query) {
			return nil, errors.New("the answer is to another question")
		}
		return reply, nil
	}
	if _, err := c.Write(query); err != nil {
		return nil, err
	}
	buf := packets.Get().(*[dnsMax]byte)
	defer packets.Put(buf)
	for {
		n, err := c.Read(buf[:])
		if err != nil {
			return nil, err
		}
		if answers(buf[:n], query) { // others may be forged
			return slices.Clone(buf[:n]), nil
		}
	}
}

// packets are buffers for answers of which nobody knows the length before.
var packets = sync.Pool{New: func() any { return new([dnsMax]byte) }}

// answers reports whether reply is an answer to query (RFC 5452 9.1).
func answers(reply, query []byte) bool {
	var r, q dnsmessage.Parser
	rh, err := r.Start(reply)
	if err != nil || !rh.Response {
		return false
	}
	qh, err := q.Start(query)
	if err != nil || rh.ID != qh.ID {
		return false
	}
	asked, err := q.Question()
	if err != nil {
		return false
	}
	repeated, err := r.Question()
	return err == nil && repeated.Type == asked.Type && repeated.Class == asked.Class &&
		strings.EqualFold(repeated.Name.String(), asked.Name.String())
}
