package node

import (
	"errors"
	"fmt"

	"github.com/wgnode/wgnode/node/config"
	"github.com/wgnode/wgnode/node/exporter"
	"github.com/wgnode/wgnode/probe/key"
	"github.com/wgnode/wgnode/tunnel"
)

// minFiles is how many files a process must be able to have open at a time to serve
// a node. With fewer it may come up, and then hear nobody who asks it to end.
const minFiles = 64

// ErrFewFiles is what a node is refused with where the process may have too few files
// open at a time (RLIMIT_NOFILE).
var ErrFewFiles = errors.New("too few files may be open at a time")

// checkPeers refuses what the device would refuse when half of it is there.
func checkPeers(cfg *config.Config) error {
	peers := make(map[key.Public]bool)
	for i := range cfg.Peers {
		peers[cfg.Peers[i].PublicKey] = true
	}
	if len(peers) > tunnel.MaxPeers {
		return fmt.Errorf("%s: %d peers: a WireGuard device allows at most %d; split them over several interfaces",
			cfg.Path, len(peers), tunnel.MaxPeers)
	}
	return nil
}

// CheckFiles says what is wrong with the files that services of a configuration name, as a node would when it
// starts: who may ask for metrics, and which certificates a receiver of telemetry has.
func CheckFiles(cfg *config.Config) error {
	var errs []error
	if m := &cfg.Metrics; !m.Listen.IsZero() {
		if err := (exporter.Place{Listen: m.Listen, WebConfig: m.WebConfig}).Check(); err != nil {
			errs = append(errs, fmt.Errorf("%s: [metrics]: %w", cfg.Path, err))
		}
	}
	if t := newTelemetry(); cfg.Telemetry.Endpoint != "" {
		err := errNoTelemetry
		if t.sender != nil {
			err = t.sender.check(&cfg.Telemetry)
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: [telemetry]: %w", cfg.Path, err))
		}
	}
	return errors.Join(errs...)
}
