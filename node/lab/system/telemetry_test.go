//go:build linux

package system

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/wgnode/wgnode/node/lab"
	"github.com/wgnode/wgnode/node/telemetry/otlptest"
	"github.com/wgnode/wgnode/probe/patience"
)

// spokes are two hosts that reach each other by a hub, each of which sends its spans by itself, to a
// receiver at its own loopback. The receiver is the test's.
type spokes struct {
	t        *testing.T
	wgnode   string
	a, h, b  *lab.Host
	receiver otlptest.Receiver
}

func newSpokes(t *testing.T, telemetry string) *spokes {
	l := lab.New(t)
	s := &spokes{t: t, wgnode: lab.Wgnode(t), a: l.Host("alpha"), h: l.Host("hub"), b: l.Host("beta")}
	l.Link(s.a.End("eth0", "192.0.2.1/30"), s.h.End("a", "192.0.2.2/30"))
	l.Link(s.b.End("eth0", "192.0.2.5/30"), s.h.End("b", "192.0.2.6/30"))
	a, h, b := lab.NewKey(t), lab.NewKey(t), lab.NewKey(t)
	peer := func(name string, k lab.Key, endpoint, allowed string) string {
		return fmt.Sprintf("[[peer]]\nname = %q\npublic_key = %q\nallowed_ips = [%q]\n", name, k.Public, allowed) + endpoint
	}
	s.up(s.a, a, "10.7.0.1/24", telemetry, peer("hub", h, "endpoint = \"192.0.2.2:51820\"\n", "10.7.0.0/24"))
	s.up(s.b, b, "10.7.0.2/24", telemetry, peer("hub", h, "endpoint = \"192.0.2.6:51820\"\n", "10.7.0.0/24"))
	s.up(s.h, h, "10.7.0.254/24", "forward = true\n", telemetry, peer("alpha", a, "", "10.7.0.1/32")+
		peer("beta", b, "endpoint = \"192.0.2.5:51820\"\n", "10.7.0.2/32"))
	s.b.ServeHTTP("10.7.0.2:80", "hello")
	return s
}

// up brings a host up; more are further lines of [interface], then of the file.
func (s *spokes) up(h *lab.Host, k lab.Key, address string, more ...string) {
	s.t.Helper()
	l := h.Listen("tcp", "127.0.0.1:4318")
	server := &http.Server{Handler: &s.receiver, ReadHeaderTimeout: patience.Limit()}
	s.t.Cleanup(func() { _ = server.Close() })
	go func() { _ = server.Serve(l) }() // ends with ErrServerClosed
	h.WriteFile("/etc/wireguard/wg0.toml", fmt.Sprintf("[interface]\nprivate_key = %q\naddress = [%q]\nlisten_port = 51820\n%s",
		k.Private, address, strings.Join(more, "")), 0o600)
	h.Run("env", "OTEL_BSP_SCHEDULE_DELAY=100", s.wgnode, "up", "/etc/wireguard/wg0.toml")
	h.Settle()
}

// await waits until the traces of which one span has the value of an attribute are so many, of which the
// latest is as it is to be.
func (s *spokes) await(what, key, value string, n int, want string) {
	s.t.Helper()
	var trees []string
	patience.See(s.t, what, func() (string, bool) {
		trees = otlptest.Trees(s.receiver.Spans(), func(o *otlptest.Span) bool { return o.Name == "flow" && o.Attrs[key] == value })
		if len(trees) != n {
			return fmt.Sprintf("%d traces:\n%s", len(trees), strings.Join(trees, "--\n")), false
		}
		return cmp.Diff(want, trees[n-1]), trees[n-1] == want
	})
}

const wholeTrace = `alpha flow
  alpha A1-A4
  alpha wire
    hub B3-B8
      hub B3-B4
      hub B4-B7
        hub flow
          hub A1-A4
          hub wire
            beta B3-B8
              beta B3-B4
              beta B4-B7
              beta B7-B8
          hub A5-A6
      hub B7-B8
  alpha A5-A6
`

// One flow over a hub is one trace with the spans of all three hosts, though no host asks another:
// also where the hub translates, sessions begin anew in the middle, or the hub drops.
func TestTraces(t *testing.T) {
	lab.Need(t, "curl", "ip", "nft", "ping", "wg")
	t.Parallel()
	s := newSpokes(t, "[telemetry]\nendpoint = \"http://127.0.0.1:4318\"\nsample = \"100%\"\n")
	s.a.Ping("10.7.0.2") // and there are sessions
	curl := func() {
		t.Helper()
		if got := s.a.Run("curl", "-sS", "http://10.7.0.2"); got != "hello" {
			t.Fatalf("curl printed %q", got)
		}
	}
	curl()
	s.await("the trace of a connection", "destination.port", "80", 1, wholeTrace)

	s.h.RunInput(`table ip nat {
	chain post {
		type nat hook postrouting priority srcnat
		oifname wg0 masquerade
	}
}`, "nft", "-f", "-")
	curl()
	s.await("the trace of one that the hub translates", "destination.port", "80", 2, wholeTrace)
	s.h.Run("nft", "delete", "table", "ip", "nat")

	conn, err := s.a.Dial(patience.Context(t), "tcp", "10.7.0.2:80")
	if err != nil {
		t.Fatal(err)
	}
	hub := strings.Fields(s.a.Run("wg", "show", "wg0", "peers"))[0]
	s.a.Run("wg", "set", "wg0", "peer", hub, "remove")
	s.a.Run("wg", "set", "wg0", "peer", hub, "endpoint", "192.0.2.2:51820", "allowed-ips", "10.7.0.0/24")
	if _, err := fmt.Fprint(conn, "GET / HTTP/1.0\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	answer := make([]byte, 15)
	if _, err := conn.Read(answer); err != nil || !strings.HasPrefix(string(answer), "HTTP/1.0 200") {
		t.Fatalf("%q, %v", answer, err)
	}
	_ = conn.Close() // all was read that is of interest
	s.await("the trace of one during which the session began anew", "destination.port", "80", 3, wholeTrace)

	if out, status, err := s.a.Try("curl", "-sS", "--max-time", "1", "http://10.7.0.9:81"); err != nil || status == 0 {
		t.Fatalf("curl to nobody: %v, %s", err, out)
	}
	patience.See(t, "the trace of one that the hub drops", func() (string, bool) {
		trees := otlptest.Trees(s.receiver.Spans(), func(o *otlptest.Span) bool { return o.Attrs["destination.port"] == "81" })
		seen := strings.Join(trees, "--\n")
		return seen, strings.Contains(seen, "alpha wire") && strings.Contains(seen, "    hub B3-B8") &&
			strings.Contains(seen, "hub flow ! no-allowedips-match") && !strings.Contains(seen, "missing")
	})
	s.instances()
}

// instances wants of each host that it says by the same words who it is, and by others than the rest.
func (s *spokes) instances() {
	s.t.Helper()
	of := make(map[string]string)
	for _, o := range s.receiver.Spans() {
		if of[o.Host] != "" && of[o.Host] != o.Instance {
			s.t.Errorf("%s is %s and %s", o.Host, of[o.Host], o.Instance)
		}
		of[o.Host] = o.Instance
	}
	if len(of) != 3 || of["alpha"] == of["hub"] || of["hub"] == of["beta"] || of["alpha"] == of["beta"] {
		s.t.Errorf("instances: %v", of)
	}
}
