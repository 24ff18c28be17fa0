package node

import (
	"errors"
	"fmt"

	"github.com/wgnode/wgnode/node/config"
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
