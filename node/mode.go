package node

import (
	"context"
	"net/netip"

	"github.com/wgnode/wgnode/node/config"
	"github.com/wgnode/wgnode/node/explain"
	"github.com/wgnode/wgnode/node/internal/endpoint"
	"github.com/wgnode/wgnode/node/internal/task"
	"github.com/wgnode/wgnode/tunnel/netstack"
)

// mode is where the tunnel of a node ends, and all that follows from it. There are four: kernelTUN,
// an interface of this host; userspaceStack, a network stack in this process; foreignLink, an
// interface that somebody else has made; bareDevice, an interface that others configure. A mode is
// given the node that it is of, and keeps only what is its own.
type mode interface {
	traits() traits
	// start makes the tunnel and configures it. What it has done is in the node even if it fails.
	start(ctx context.Context, n *Node) error
	// tasks run beside those of every node, configTasks beside the follower for as long as the
	// configuration stays.
	tasks(n *Node) []task.Task
	configTasks(n *Node, f *endpoint.Follower) []task.Task
	// reload changes what differs, see [Node.Reload].
	reload(ctx context.Context, r *reload) error
	// subject completes what package explain is told of the node.
	subject(n *Node, s *explain.Subject)
	// addresses are those that packets inside the tunnel are for, here.
	addresses(cfg *config.Config) []netip.Addr
	// stack is the network stack in this process, nil if there is none, and inside is the tunnel as
	// programs of this host get into it by the node; the error says how else.
	stack() *netstack.Net
	inside() (*netstack.Net, error)
	// close ends what is the mode's own; the rest is the node's.
	close()
}

// traits are what the rest of a node asks of its mode.
type traits struct {
	netstack  bool // the tunnel ends in this process
	elsewhere bool // it ends in an interface that is not this host's
	onHost    bool // it ends in an interface of this host: routes lead into it, and wg(8) must see it
	hooks     bool // the hooks of going down are run
	file      bool // it was made from a configuration, and can be reloaded
}

// modeOf is the mode that options ask for. denied is why this host has no interface of the node, nil
// if it has or was to have none.
func modeOf(o *Options, denied error) mode {
	switch {
	case o.Netstack:
		return &userspaceStack{denied: denied}
	case o.MakeLink != nil:
		return &foreignLink{make: o.MakeLink}
	}
	return kernelTUN{}
}

// interfaceOnly is what modes have in common that have no network stack and nothing of their own to end.
type interfaceOnly struct{}

func (interfaceOnly) stack() *netstack.Net           { return nil }
func (interfaceOnly) inside() (*netstack.Net, error) { return nil, ErrNeedsStack }
func (interfaceOnly) close()                         {}
