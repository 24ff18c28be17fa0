package inspect

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/netip"
	"time"

	"github.com/spf13/cobra"

	"github.com/wgnode/wgnode/cmd/internal/cli"
	"github.com/wgnode/wgnode/node"
	"github.com/wgnode/wgnode/node/config"
	"github.com/wgnode/wgnode/node/explain"
	"github.com/wgnode/wgnode/probe/diagnose"
	"github.com/wgnode/wgnode/probe/key"
	"github.com/wgnode/wgnode/probe/render"
)

func NewDemoCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "demo",
		Short: "Show a healthy ladder and a fault, on two nodes in this process",
		Long: `Demo runs two WireGuard nodes in this process, alice and bob, each over a
network stack of its own, and lets them talk over UDP on the loopback interface.
It needs no privileges and no configuration, and changes nothing.

It shows the ladder of a real TCP connection as each side sees it. Then it gives
alice a preshared key that bob does not have, and shows what explain says.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, cancel := context.WithTimeout(cmd.Context(), demoTimeout)
			defer cancel()
			return runDemo(ctx, cmd.OutOrStdout(), cli.TextOptions(cmd))
		},
	}
}

const (
	demoTimeout = 30 * time.Second
	demoPort    = 80
)

var demoAlice, demoBob = netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("10.0.0.2")

func runDemo(ctx context.Context, out io.Writer, opt render.Options) error {
	alice, bob := key.GeneratePrivate(), key.GeneratePrivate()
	b, stopB, err := startDemoNode(ctx, demoConfig("bob", bob, demoBob, "alice", alice.Public(), demoAlice, nil))
	if err != nil {
		return err
	}
	defer stopB()
	l, err := b.Net().Listen("tcp", fmt.Sprintf(":%d", demoPort))
	if err != nil {
		return fmt.Errorf("listen on bob: %w", err)
	}
	defer l.Close()
	go greet(l)

	conf := demoConfig("alice", alice, demoAlice, "bob", bob.Public(), demoBob, b)
	a, stopA, err := startDemoNode(ctx, conf)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "Two WireGuard nodes in this process, alice (%s) and bob (%s), over UDP on 127.0.0.1.\n"+
		"bob serves TCP port %d. alice connects to it; this is what each of them sees.\n\n", demoAlice, demoBob, demoPort)
	target := netip.AddrPortFrom(demoBob, demoPort)
	here, there, err := demoBothSides(ctx, a, b, target)
	stopA()
	if err != nil {
		return err
	}
	for _, r := range []*diagnose.Report{here, there} {
		if err := render.Report(out, r, opt); err != nil {
			return fmt.Errorf("print ladder: %w", err)
		}
		fmt.Fprintln(out)
	}

	fmt.Fprint(out, "Now alice gets a preshared key that bob does not have, and connects again.\n\n")
	conf.Peers[0].PresharedKey = key.GeneratePreshared()
	a, stopA, err = startDemoNode(ctx, conf)
	if err != nil {
		return err
	}
	defer stopA()
	broken, err := explain.Explain(ctx, a.Subject(), explain.Request{Target: target})
	if err != nil {
		return fmt.Errorf("explain %s: %w", target, err)
	}
	if err := render.Report(out, broken, opt); err != nil {
		return fmt.Errorf("print ladder: %w", err)
	}
	if !here.Verdict.Healthy() || !there.Verdict.Healthy() || broken.Verdict.Code != diagnose.PSKMismatch {
		return fmt.Errorf("demo: verdicts are %s, %s and %s; want healthy, healthy and %s",
			here.Verdict.Code, there.Verdict.Code, broken.Verdict.Code, diagnose.PSKMismatch)
	}
	return nil
}

// demoBothSides explains one connection from a to target on b, on both.
func demoBothSides(ctx context.Context, a, b *node.Node, target netip.AddrPort) (here, there *diagnose.Report, err error) {
	type result struct {
		r   *diagnose.Report
		err error
	}
	passive := make(chan result, 1)
	go func() {
		r, err := explain.Explain(ctx, b.Subject(), explain.Request{Target: target, Passive: true})
		passive <- result{r, err}
	}()
	here, err = explain.Explain(ctx, a.Subject(), explain.Request{Target: target})
	if err != nil {
		return nil, nil, fmt.Errorf("explain %s on alice: %w", target, err)
	}
	p := <-passive
	if p.err != nil {
		return nil, nil, fmt.Errorf("explain %s on bob: %w", target, p.err)
	}
	return here, p.r, nil
}

// startDemoNode brings a node up that ends in a stack of its own. stop takes it
// down again.
func startDemoNode(ctx context.Context, cfg *config.Config) (n *node.Node, stop func(), err error) {
	n, err = node.Start(ctx, cfg, node.Options{Netstack: true, NoUAPI: true, NoControl: true})
	if err != nil {
		return nil, nil, fmt.Errorf("start %s: %w", cfg.Name, err)
	}
	rctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = n.Run(rctx) // ends by cancel
	}()
	return n, func() {
		cancel()
		<-done
		_ = n.Close() // nothing outside this process was changed
	}, nil
}

// demoConfig is the configuration of one of the two; to, if not nil, is the
// other, running.
func demoConfig(name string, own key.Private, addr netip.Addr, peer string, pub key.Public, peerAddr netip.Addr,
	to *node.Node) *config.Config {
	p := config.Peer{Name: peer, PublicKey: pub, AllowedIPs: []netip.Prefix{netip.PrefixFrom(peerAddr, 32)}}
	if to != nil {
		p.Endpoint = fmt.Sprintf("127.0.0.1:%d", to.Tunnel().ListenPort())
	}
	return &config.Config{Name: name, Peers: []config.Peer{p},
		Interface: config.Interface{PrivateKey: own, Addresses: []netip.Prefix{netip.PrefixFrom(addr, 24)}}}
}

// greet answers each connection with a line.
func greet(l net.Listener) {
	for {
		c, err := l.Accept()
		if err != nil {
			return // closed
		}
		_, _ = io.WriteString(c, "hello from bob\n") // the client may be gone
		_ = c.Close()
	}
}
