package guard

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"os"
	"slices"
	"time"

	"github.com/wgnode/wgnode/node/internal/burst"
	"github.com/wgnode/wgnode/node/internal/nftables"
)

// processName is what the process is called, so that it is not taken for a node.
const processName = "wgnode-guard"

// Run is all that a guardian's process does, see [Guardian]: it reads
// from a node what is to be guarded, and once that has died without saying so, it
// guards the node's kill switch until ctx ends.
func Run(ctx context.Context, from io.Reader) error {
	_ = os.WriteFile("/proc/self/comm", []byte(processName), 0) // for people who list processes
	told := make(chan message, 1)
	go func() { told <- lastMessage(from) }()
	var last message
	select {
	case <-ctx.Done():
		return nil
	case last = <-told:
	}
	if last.End || last.KillSwitch.Link == "" {
		return nil
	}
	if !last.Up {
		there, err := nftables.KillSwitches()
		if err != nil || !slices.Contains(there, last.KillSwitch.Link) {
			return err
		}
	}
	tables := &nftables.Keeper{Open: last.Open}
	err := takeUp(ctx, tables, last.KillSwitch)
	if err == nil && ctx.Err() == nil {
		g := Tables{tables: tables, log: slog.New(slog.DiscardHandler)}
		err = g.Run(ctx)
	}
	return errors.Join(err, tables.Close())
}

// lastMessage returns what the node said last.
func lastMessage(from io.Reader) (last message) {
	words := json.NewDecoder(from)
	for {
		var m message
		if words.Decode(&m) != nil {
			return last
		}
		last = m
	}
}

// takeUp makes the kill switch the guardian's. For a moment it may still belong to
// the node, of which not all has ended.
func takeUp(ctx context.Context, tables *nftables.Keeper, k nftables.KillSwitch) error {
	const first, most, attempts = 5 * time.Millisecond, time.Second, 60
	wait := first
	var err error
	for range attempts {
		if err = tables.AddKillSwitch(k); err == nil || ctx.Err() != nil {
			return nil
		}
		burst.Pause(ctx, wait)
		wait = min(2*wait, most)
	}
	return err
}
