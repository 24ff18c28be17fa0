//go:build linux

package examples

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/wgnode/wgnode/node/lab"
	"github.com/wgnode/wgnode/probe/diagnose"
	"github.com/wgnode/wgnode/probe/patience"
)

// topology is one folder of examples, on the hosts that its drawing shows.
type topology struct {
	*world
	folder, wgnode string
	readme         string
	nodes          []*node
}

// node is a host with one of the folder's configurations.
type node struct {
	*lab.Host
	file   string // "wg0.conf" or "wg0.toml", in /etc/wireguard
	text   string // of the example, unedited
	key    lab.Key
	edits  []string // for write
	before string   // the host's state before it was brought up
}

func newTopology(t *testing.T, folder string) *topology {
	t.Parallel()
	lab.Need(t, "wg", "wg-quick", "ip", "nft", "ps", "curl")
	return &topology{world: newWorld(t), folder: folder, wgnode: lab.Wgnode(t), readme: read(t, filepath.Join(folder, "README.md"))}
}

// node makes a host one of the tunnel's, with the configuration named after it.
func (x *topology) node(h *lab.Host) *node {
	x.t.Helper()
	paths, err := filepath.Glob(filepath.Join(x.folder, h.Name()+".*"))
	if err != nil || len(paths) != 1 {
		x.t.Fatalf("configurations of %s: %v, %v, want one", h.Name(), paths, err)
	}
	n := &node{Host: h, file: "/etc/wireguard/wg0" + filepath.Ext(paths[0]), text: read(x.t, paths[0]), key: lab.NewKey(x.t)}
	x.nodes = append(x.nodes, n)
	return n
}

// What the examples have in place of keys.
const (
	privateKey = "PUT-THE-OUTPUT-OF-wgnode-genkey-HERE"
	publicKey  = "PUT-THE-PUBLIC-KEY-OF-%s-HERE"
)

// write writes the configuration with keys put in, and edited: of edits, each old
// text is followed by the new.
func (x *topology) write(n *node) {
	x.t.Helper()
	text := strings.Replace(n.text, privateKey, n.key.Private, 1)
	for _, other := range x.nodes {
		text = strings.ReplaceAll(text, fmt.Sprintf(publicKey, other.Name()), other.key.Public)
	}
	for i := 0; i < len(n.edits); i += 2 {
		if !strings.Contains(text, n.edits[i]) {
			x.t.Fatalf("%q is not in the configuration of %s", n.edits[i], n.Name())
		}
		text = strings.ReplaceAll(text, n.edits[i], n.edits[i+1])
	}
	n.WriteFile(n.file, text, 0o600)
}

// up brings all up. Without keys nothing happens but an error that says how to
// make them.
func (x *topology) up() {
	x.t.Helper()
	for _, n := range x.nodes {
		n.WriteFile(n.file, n.text, 0o600)
	}
	x.each(func(n *node) (err error) {
		if n.before, err = state(n.Host); err != nil {
			return err
		}
		out, status, err := n.Try(x.wgnode, "up", n.file)
		for _, want := range []string{"wgnode: " + n.file + ":", "wgnode: hint: ", "`wgnode pubkey`"} {
			if err != nil || status != 1 || !strings.Contains(out, want) {
				return fmt.Errorf("up of an example as it is: status %d, %v, want %q in\n%s", status, err, want, out)
			}
		}
		return nil
	})
	for _, n := range x.nodes {
		n.WriteFile("/etc/wireguard/wg0.key", n.key.Private+"\n", 0o600)
		x.write(n)
	}
	x.each(func(n *node) error {
		if _, err := try(n.Host, x.wgnode, "up", n.file, "--dry-run"); err != nil {
			return err
		}
		if filepath.Ext(n.file) == ".conf" {
			if _, err := try(n.Host, "wg-quick", "strip", n.file); err != nil {
				return err
			}
		}
		return n.unchanged()
	})
	// The server comes first: a handshake that nobody answers is tried again only
	// after 5 s.
	x.nodes[0].Run(x.wgnode, "up", "wg0")
	x.each(func(n *node) (err error) {
		if n != x.nodes[0] {
			_, err = try(n.Host, x.wgnode, "up", "wg0")
		}
		return err
	})
}

// again takes a node down and brings it up with its configuration edited.
func (x *topology) again(n *node, edits ...string) {
	x.t.Helper()
	n.Run(x.wgnode, "down", "wg0")
	n.edits = edits
	x.write(n)
	n.Run(x.wgnode, "up", "wg0")
}

// down takes all down and looks for what is left.
func (x *topology) down() {
	x.t.Helper()
	x.each(func(n *node) error {
		if _, err := try(n.Host, x.wgnode, "down", "wg0"); err != nil {
			return err
		}
		return n.unchanged()
	})
}

// each calls fn for all nodes at the same time.
func (x *topology) each(fn func(n *node) error) {
	x.t.Helper()
	errs := make([]error, len(x.nodes))
	var wg sync.WaitGroup
	for i, n := range x.nodes {
		wg.Go(func() {
			if err := fn(n); err != nil {
				errs[i] = fmt.Errorf("%s: %w", n.Name(), err)
			}
		})
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		x.t.Fatal(err)
	}
}

// try runs a command that must succeed, in any goroutine.
func try(h *lab.Host, args ...string) (string, error) {
	out, status, err := h.Try(args...)
	if err == nil && status != 0 {
		err = fmt.Errorf("%v: status %d\n%s", args, status, out)
	}
	return out, err
}

// unchanged compares a node's host with what it was before up.
func (n *node) unchanged() error {
	now, err := state(n.Host)
	if err == nil && now != n.before {
		err = fmt.Errorf("left behind:\n%s", cmp.Diff(n.before, now))
	}
	return err
}

// state is all that up could leave behind on a host.
func state(h *lab.Host) (string, error) {
	out, err := try(h, "sh", "-ec", `ip address; ip route show table all; ip -6 route show table all; ip rule; ip -6 rule
nft list ruleset; cat /etc/resolv.conf
cd /proc/sys/net; grep -H . ipv4/ip_forward ipv6/conf/all/forwarding ipv4/conf/all/src_valid_mark
find /run/wgnode /run/wireguard -mindepth 1 2>/dev/null || true
ps -e -o stat=,comm= | grep -v ^Z | grep wgnode || true`)
	// The kernel announces on its own time that an address is no duplicate.
	return regexp.MustCompile(` (tentative|expires \w+)`).ReplaceAllString(out, ""), err
}

// heard waits until peers have called a node and are known to be there.
func (x *topology) heard(n *node, peers ...string) {
	x.t.Helper()
	for _, peer := range peers {
		watch := n.Start(x.wgnode, "watch", "wg0", "--past", "peer", peer)
		watch.WaitOutput(x.t.Context(), " B3 ")
		watch.Stop()
	}
}

// serve answers HTTP requests at a host's port 80 with the address of who asks.
func (x *topology) serve(h *lab.Host, addrs ...string) {
	x.t.Helper()
	for _, addr := range addrs {
		l := h.Listen("tcp", net.JoinHostPort(addr, "80"))
		server := &http.Server{ReadHeaderTimeout: time.Minute, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			host, _, err := net.SplitHostPort(r.RemoteAddr)
			if err != nil {
				host = err.Error()
			}
			// The client may be gone; that is for the client to notice.
			_, _ = io.WriteString(w, host)
		})}
		go func() { _ = server.Serve(l) }() // until the lab closes l
	}
}

// fetch asks the server at addr from a host, and checks whom the server saw.
func (x *topology) fetch(from *lab.Host, addr, seen string) {
	x.t.Helper()
	if got := from.Run("curl", "-sS", url(addr)); got != seen {
		x.t.Errorf("%s asked %s: the server saw %q, want %q", from.Name(), addr, got, seen)
	}
}

// url returns that of an address, with or without a port.
func url(addr string) string {
	if ip, err := netip.ParseAddr(addr); err == nil && ip.Is6() {
		addr = "[" + addr + "]"
	}
	return "http://" + addr
}

// documented has a node explain a flow that is healthy. The README shows what
// it prints, but for what is different each time.
func (x *topology) documented(n *node, dest string) {
	x.t.Helper()
	command := "wgnode explain wg0 " + dest
	got := n.Run(x.wgnode, "explain", "wg0", dest)
	_, want, found := strings.Cut(x.readme, "\n"+n.Name()+"$ sudo "+command+"\n")
	want, _, ended := strings.Cut(want, "```")
	if !found || !ended || fixed(got) != fixed(want) {
		x.t.Errorf("the README does not show what %q prints on %s:\n%s", command, n.Name(), got)
	}
}

// fixed leaves of what explain prints what is always the same.
func fixed(text string) string {
	text = changing.ReplaceAllString(text, "")
	return strings.Join(strings.Fields(text), " ")
}

var changing = regexp.MustCompile(`\d\d:\d\d:\d\d\.\d+|:[3-6]\d{4}\b|0x[0-9a-f]+|(counter|id|seq) [0-9]+|(session of|after) [0-9.]+ ?\pL*`)

// explain has a node explain a flow that is not healthy. The verdict is code, or
// has it among its candidates, and the README names it.
func (x *topology) explain(n *node, code diagnose.Code, dest string) {
	x.t.Helper()
	x.verdict(x.start(n, dest), code)
}

// explainBoth is explain, and has another node explain the same flow, which it
// sees coming from src.
func (x *topology) explainBoth(n *node, code diagnose.Code, dest string, other *node, otherCode diagnose.Code, src string) {
	x.t.Helper()
	limit := patience.Times(4 * time.Second).String()
	passive := x.start(other, dest, "--passive", "--from", src, "--timeout", limit)
	x.verdict(x.start(n, dest, "--timeout", limit), code)
	x.verdict(passive, otherCode)
}

func (x *topology) start(n *node, dest string, flags ...string) *lab.Proc {
	x.t.Helper()
	return n.Start(append([]string{x.wgnode, "explain", "wg0", dest, "--json"}, flags...)...)
}

func (x *topology) verdict(p *lab.Proc, code diagnose.Code) {
	x.t.Helper()
	if err := p.Wait(); err == nil {
		x.t.Errorf("%s: status 0, want that of a fault", p)
	}
	var r diagnose.Report
	if err := json.Unmarshal([]byte(p.Output()), &r); err != nil {
		x.t.Fatalf("%s: %v in\n%s", p, err, p.Output())
	}
	named := func(c diagnose.Candidate) bool { return c.Code == code }
	if r.Verdict.Code != code && !slices.ContainsFunc(r.Verdict.Candidates, named) {
		x.t.Errorf("%s: verdict %s, want %s", p, r.Verdict.Code, code)
	}
	if name := "`" + string(code) + "`"; !strings.Contains(x.readme, name) {
		x.t.Errorf("the README does not name %s", name)
	}
}
