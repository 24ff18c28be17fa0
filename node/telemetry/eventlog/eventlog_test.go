package eventlog

import (
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	collector "go.opentelemetry.io/proto/otlp/collector/logs/v1"
	common "go.opentelemetry.io/proto/otlp/common/v1"
	logs "go.opentelemetry.io/proto/otlp/logs/v1"
	"google.golang.org/protobuf/encoding/prototext"
	"google.golang.org/protobuf/proto"

	"github.com/wgnode/wgnode/node/config"
	"github.com/wgnode/wgnode/node/telemetry"
	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/diagnose"
	"github.com/wgnode/wgnode/probe/key"
	"github.com/wgnode/wgnode/probe/patience"
	"github.com/wgnode/wgnode/probe/timeline"
	"github.com/wgnode/wgnode/tunnel"
)

// receiver takes log records by OTLP over HTTP.
type receiver struct {
	*httptest.Server
	status atomic.Int32
	hold   chan struct{} // nil, or not closed: answers wait

	mu   sync.Mutex
	all  []*logs.LogRecord // guarded by mu
	text string            // guarded by mu: the latest request
}

func newReceiver(t *testing.T) *receiver {
	r := &receiver{}
	r.status.Store(http.StatusOK)
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if r.hold != nil {
			select {
			case <-r.hold:
			case <-req.Context().Done():
				return
			}
		}
		body, err := gzip.NewReader(req.Body)
		if err != nil || req.URL.Path != "/v1/logs" {
			t.Errorf("%s: %v", req.URL.Path, err)
			return
		}
		text, err := io.ReadAll(body)
		var got collector.ExportLogsServiceRequest
		if err == nil {
			err = proto.Unmarshal(text, &got)
		}
		if err != nil {
			t.Error(err)
		}
		w.WriteHeader(int(r.status.Load()))
		if r.status.Load() != http.StatusOK {
			return
		}
		r.mu.Lock()
		defer r.mu.Unlock()
		r.text = prototext.Format(&got)
		for _, of := range got.ResourceLogs {
			for _, scope := range of.ScopeLogs {
				r.all = append(r.all, scope.LogRecords...)
			}
		}
	}))
	t.Cleanup(r.Close)
	return r
}

// take returns what came since it was asked last, as lines.
func (r *receiver) take(t *testing.T, l *Log) string {
	t.Helper()
	if err := l.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	patience.See(t, "records sent", func() (string, bool) {
		c := l.Counts()
		return fmt.Sprintf("%+v", c), c.Waiting == 0
	})
	r.mu.Lock()
	defer r.mu.Unlock()
	var b strings.Builder
	for _, rec := range r.all {
		fmt.Fprintf(&b, "%s %s", rec.EventName, rec.SeverityText)
		for _, a := range rec.Attributes {
			fmt.Fprintf(&b, " %s=%s", a.Key, valueOf(a.Value))
		}
		fmt.Fprintf(&b, ": %s\n", rec.Body.GetStringValue())
	}
	r.all = nil
	return b.String()
}

func valueOf(v *common.AnyValue) string {
	switch v := v.Value.(type) {
	case *common.AnyValue_StringValue:
		return v.StringValue
	case *common.AnyValue_IntValue:
		return fmt.Sprint(v.IntValue)
	case *common.AnyValue_BoolValue:
		return fmt.Sprint(v.BoolValue)
	}
	return "?"
}

func newLog(t *testing.T, r *receiver, anonymize bool) *Log {
	t.Helper()
	l, err := Open(t.Context(), telemetry.Options{Config: config.Telemetry{Endpoint: r.URL},
		Node: telemetry.Node{Interface: "wg0", PublicKey: key.Public{1}, Anonymize: anonymize}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	return l
}

var (
	at    = time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)
	hub   = key.Public{2}
	hubID = telemetry.Node{PublicKey: hub}.InstanceID()
	fail  = timeline.Line{At: at, What: timeline.Changed, Peer: hub, Name: "hub-name", State: diagnose.StateFailing, Code: diagnose.NoResponse,
		Checkpoint: "A3", Certain: true, Summary: "hub-name at 10.9.8.7 does not answer"}
)

// What a history notes is told, each as what it is.
func TestStates(t *testing.T) {
	r := newReceiver(t)
	l := newLog(t, r, false)
	up := timeline.Line{At: at, What: timeline.Changed, Peer: hub, Name: "hub-name", State: diagnose.StateUp, Code: diagnose.Healthy,
		Certain: true, Summary: "hub-name works"}
	l.State(&timeline.Line{At: at, What: timeline.Started}, nil)
	l.State(&up, nil)
	l.State(&fail, &up)
	l.State(&timeline.Line{At: at, What: timeline.Removed, Peer: hub, Name: "hub-name"}, &fail)
	l.State(&timeline.Line{At: at, What: timeline.Continued}, nil)
	l.Reloaded(at, nil)
	l.Reloaded(at, errors.New("wg0.toml:3: no"))
	l.State(&timeline.Line{At: at, What: timeline.Stopped}, nil)
	who := "wgnode.peer.instance_id=" + hubID + " wgnode.peer.public_key=" + hub.Base64() + " wgnode.peer.name=hub-name"
	want := "wgnode.node.started INFO network.interface.name=wg0: the node has started\n" +
		"wgnode.peer.state INFO network.interface.name=wg0 " + who + " wgnode.peer.state=up wgnode.verdict.code=healthy " +
		"wgnode.verdict.certain=true: hub-name works\n" +
		"wgnode.peer.state ERROR network.interface.name=wg0 " + who + " wgnode.peer.state=failing wgnode.verdict.code=no-response " +
		"wgnode.verdict.certain=true wgnode.peer.state.previous=up wgnode.checkpoint=A3 error.type=no-response: " +
		"hub-name at 10.9.8.7 does not answer\n" +
		"wgnode.peer.removed INFO network.interface.name=wg0 " + who + ": the peer was removed from the configuration\n" +
		"wgnode.reload INFO network.interface.name=wg0: the configuration was read again\n" +
		"wgnode.reload ERROR network.interface.name=wg0 error.type=reload error.message=wg0.toml:3: no: " +
		"the configuration could not be taken, and nothing was changed\n" +
		"wgnode.node.stopped INFO network.interface.name=wg0: the node has stopped\n"
	if got := r.take(t, l); got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
}

// Between two looks is told what differs, and of counters by how much.
func TestDifferences(t *testing.T) {
	r := newReceiver(t)
	l := newLog(t, r, false)
	d := &differ{log: l}
	peer := tunnel.PeerState{ID: 1, Key: hub, Endpoint: netip.MustParseAddrPort("192.0.2.1:1"), Moves: 1,
		Drops: map[probe.Reason]uint64{probe.NoEndpoint: 5}}
	nobody := tunnel.PeerState{Drops: map[probe.Reason]uint64{probe.UnknownPeer: 1}}
	d.look(Seen{at, []tunnel.PeerState{nobody, peer}, map[string]uint64{"kill-switch": 0}})
	if got := r.take(t, l); got != "" {
		t.Errorf("of the first look is told\n%s", got)
	}
	peer.Endpoint, peer.Moves, peer.Unanswered = netip.MustParseAddrPort("[2001:db8::1]:2"), 3, 2
	peer.Drops = map[probe.Reason]uint64{probe.NoEndpoint: 7}
	nobody.Drops = map[probe.Reason]uint64{probe.UnknownPeer: 401, probe.LinkScope: 3}
	d.look(Seen{at, []tunnel.PeerState{nobody, peer}, map[string]uint64{"kill-switch": 1}})
	who := "network.interface.name=wg0 wgnode.peer.instance_id=" + hubID + " wgnode.peer.public_key=" + hub.Base64()
	want := "wgnode.packets.dropped WARN network.interface.name=wg0 error.type=unknown-peer wgnode.count=400: " +
		"packets were dropped: unknown-peer (400)\n" +
		"wgnode.packets.dropped INFO network.interface.name=wg0 error.type=link-scope wgnode.count=3: " +
		"packets were dropped: link-scope (3)\n" +
		"wgnode.peer.endpoint INFO " + who + " wgnode.count=2 network.peer.address=2001:db8::1 network.peer.port=2 " +
		"wgnode.peer.endpoint.previous=192.0.2.1:1: the peer's endpoint has moved\n" +
		"wgnode.packets.dropped WARN " + who + " error.type=no-endpoint wgnode.count=2: " +
		"packets were dropped: no-endpoint (2)\n" +
		"wgnode.handshakes.failed WARN " + who + " error.type=no-response wgnode.count=2: initiations were not answered (2)\n" +
		"wgnode.firewall.restored ERROR network.interface.name=wg0 wgnode.firewall.table=kill-switch wgnode.count=1: " +
		"another program changed the table, which was put back\n"
	if got := r.take(t, l); got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
	d.look(Seen{at, []tunnel.PeerState{nobody, peer}, map[string]uint64{"kill-switch": 1}})
	if got := r.take(t, l); got != "" {
		t.Errorf("of what has not changed is told\n%s", got)
	}
}

// With anonymize no name and no address in the tunnel leaves the host.
func TestAnonymize(t *testing.T) {
	r := newReceiver(t)
	l := newLog(t, r, true)
	l.State(&fail, nil)
	l.Reloaded(at, errors.New("/etc/wireguard/wg0.toml: hub-name"))
	d := &differ{log: l}
	for n := range uint64(2) {
		d.look(Seen{At: at, Peers: []tunnel.PeerState{{ID: 1, Key: hub, Name: "hub-name", Moves: n,
			Endpoint: netip.MustParseAddrPort("192.0.2.1:1")}}})
	}
	if got := r.take(t, l); !strings.Contains(got, hubID) {
		t.Errorf("got\n%s", got)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, secret := range []string{"hub-name", "10.9", "192.0.2", "wg0", hub.Base64()} {
		if strings.Contains(r.text, secret) {
			t.Errorf("%s is in\n%s", secret, r.text)
		}
	}
}

// A receiver that does not answer costs what the queue does not hold, counted, and nobody waits
// for it; once it answers again, all goes on. So it is with one that refuses.
func TestReceiverIsStuck(t *testing.T) {
	r := newReceiver(t)
	r.hold = make(chan struct{})
	l := newLog(t, r, false)
	const extra = 100
	for range maxRecords + extra {
		l.State(&fail, nil)
	}
	if c := l.Counts(); c.Lost != extra || c.Waiting != maxRecords {
		t.Errorf("%+v", c)
	}
	close(r.hold)
	if got := strings.Count(r.take(t, l), "\n"); got != maxRecords || l.Counts().Sent != maxRecords {
		t.Errorf("%d came of %+v", got, l.Counts())
	}
	r.status.Store(http.StatusForbidden)
	l.State(&fail, nil)
	if got := r.take(t, l); got != "" || l.Counts().Refused != 1 {
		t.Errorf("%q, %+v", got, l.Counts())
	}
}
