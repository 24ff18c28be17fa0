package wgtool

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"strconv"
	"time"

	"github.com/wgnode/wgnode/node/config"
	"github.com/wgnode/wgnode/node/lookup"
)

// envRetries says how often a name is looked up again, or "infinity". wg's own
// default is 15, which takes minutes: too long for who waits at a terminal.
const (
	envRetries     = "WG_ENDPOINT_RESOLUTION_RETRIES"
	defaultRetries = 3
)

// resolver turns the endpoints of a configuration into addresses, with wg's
// patience and words.
type resolver struct {
	lookup  func(ctx context.Context, host string) ([]netip.Addr, error)
	wait    func(ctx context.Context, d time.Duration) error
	retries string    // after the first attempt, as in the environment
	errOut  io.Writer // is told of each retry
}

func newResolver(errOut io.Writer) *resolver {
	return &resolver{
		lookup:  lookup.System,
		wait:    wait,
		retries: os.Getenv(envRetries),
		errOut:  errOut,
	}
}

// limit returns how often a lookup is repeated, or a negative number for
// without end.
func (r *resolver) limit() (int, error) {
	switch r.retries {
	case "":
		return defaultRetries, nil
	case "infinity":
		return -1, nil
	}
	n, err := strconv.ParseUint(r.retries, 10, 31)
	if err != nil {
		//lint:ignore ST1005 wg's words
		return 0, fmt.Errorf("Unable to parse %s: `%s'", envRetries, r.retries)
	}
	return int(n), nil
}

func wait(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// endpoints returns one address for each peer of cfg, the zero AddrPort for
// those that have no endpoint.
func (r *resolver) endpoints(ctx context.Context, cfg *config.Config) ([]netip.AddrPort, error) {
	addrs := make([]netip.AddrPort, len(cfg.Peers))
	for i := range cfg.Peers {
		var err error
		if written := cfg.Peers[i].Endpoint; written != "" {
			if addrs[i], err = r.endpoint(ctx, written); err != nil {
				return nil, err
			}
		}
	}
	return addrs, nil
}

// endpoint resolves HOST:PORT. A definite "no such name" is final.
func (r *resolver) endpoint(ctx context.Context, written string) (netip.AddrPort, error) {
	retries, err := r.limit() // wg looks at it even where it does not matter
	if err != nil {
		return netip.AddrPort{}, err
	}
	host, port, err := net.SplitHostPort(written)
	if err != nil {
		return netip.AddrPort{}, err
	}
	number, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		return netip.AddrPort{}, fmt.Errorf("port of endpoint %s: %w", written, err)
	}
	if addr, err := netip.ParseAddr(host); err == nil {
		return netip.AddrPortFrom(addr, uint16(number)), nil
	}
	const longest = 20 * time.Second
	for attempt, pause := 0, time.Second; ; attempt, pause = attempt+1, min(longest, pause*6/5) {
		// The resolver puts them in the order of preference of RFC 6724.
		addrs, err := r.lookup(ctx, host)
		if err == nil && len(addrs) > 0 {
			return netip.AddrPortFrom(addrs[0].Unmap(), uint16(number)), nil
		}
		reason, final := resolveFailure(err)
		if final || attempt == retries {
			return netip.AddrPort{}, fmt.Errorf("%s: `%s'", reason, written)
		}
		_, err = fmt.Fprintf(r.errOut, "%s: `%s'. Trying again in %.2f seconds...\n", reason, written, pause.Seconds())
		if err := errors.Join(err, r.wait(ctx, pause)); err != nil {
			return netip.AddrPort{}, err
		}
	}
}

// resolveFailure words the failure of a lookup as C does, and says whether
// another attempt is without hope.
func resolveFailure(err error) (reason string, final bool) {
	var dns *net.DNSError
	if err == nil || errors.As(err, &dns) && dns.IsNotFound {
		return "Name or service not known", true
	}
	return "Temporary failure in name resolution", false
}
