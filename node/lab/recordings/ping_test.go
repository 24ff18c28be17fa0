//go:build linux

package recordings

import (
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/wgnode/wgnode/node/lab"
	"github.com/wgnode/wgnode/node/lab/sitetest"
	"github.com/wgnode/wgnode/probe/legs"
	"github.com/wgnode/wgnode/probe/patience"
)

// pinged runs ping on A, wants its exit status, and reads its JSON.
func (s *site) pinged(want int, args ...string) *legs.Report {
	s.T.Helper()
	command := append([]string{s.Wgnode, "ping", "wg0", "-i", "0.05", "-W", waitFlag()}, args...)
	if strings.Contains(args[0], "WGNODE_SSH=") {
		command = append([]string{"env", args[0], s.Wgnode, "ping", "wg0", "-i", "0.05", "-W", waitFlag()}, args[1:]...)
	}
	out, status, err := s.A.Try(append(command, "--json")...)
	var r legs.Report
	if err != nil || sitetest.Decode(s.T, "ping", out, &r) != nil {
		s.T.Fatalf("%v: status %d, %v:\n%s", args, status, err, out)
	}
	if status != want {
		s.T.Errorf("%v: status %d, want %d\n%s", args, status, want, out)
	}
	return &r
}

// waitFlag is the -W of these tests.
func waitFlag() string {
	return strconv.FormatFloat(patience.Times(time.Second).Seconds(), 'f', -1, 64)
}

// all wants all probes answered, and each leg to have its times, which add up to the whole.
func (s *site) all(r *legs.Report, sent uint64, places string) {
	s.T.Helper()
	if r.Sent != sent || r.Answered != sent || r.Loss != 0 || r.Late+r.Duplicates != 0 || r.RTT == nil {
		s.T.Fatalf("%s: %+v, remarks %q", r.Target, r.Counts, r.Remarks)
	}
	was, sum := "", int64(0)
	for i := range r.Legs {
		l := &r.Legs[i]
		if l.RTT == nil || l.Lost != 0 || l.Entered != sent {
			s.T.Fatalf("%s: %+v", r.Target, l)
		}
		was += l.From + " "
		sum += l.RTT.Average
	}
	if was != places {
		s.T.Errorf("%s: legs from %q, want %q", r.Target, was, places)
	}
	if d := sum - r.RTT.Average; d > int64(time.Millisecond) || d < -int64(time.Millisecond) {
		s.T.Errorf("%s: the legs take %d ns together, and all of it %d", r.Target, sum, r.RTT.Average)
	}
	if r.PeerName != "gateway" {
		s.T.Errorf("%s: peer %q", r.Target, r.PeerName)
	}
}

const (
	onA     = "socket A1 A4 A5 "
	onBoth  = "socket A1 A4 B3 B4 B7 B8 A5 "
	nowhere = "10.0.0.9" // is in no peer's AllowedIPs
)

// Loss and times of each leg, by ICMP, TCP and UDP, from the host's stack and the node's.
func TestPing(t *testing.T) {
	lab.Need(t, "curl", "nft")
	t.Parallel()
	s := newSite(t, false)
	s.UpBoth()
	refused := strings.TrimSuffix(s.Web(), "80") + "9"
	ways := func() {
		t.Helper()
		r := s.pinged(0, "gateway", "-c", "3")
		s.all(r, 3, onA)
		if r.Probe != "icmp" || r.PacketSize != 84 || r.Target != s.Inner(2) {
			t.Errorf("%+v", r)
		}
		s.all(s.pinged(0, "fd0a::2", "-c", "1"), 1, onA)
		s.all(s.pinged(0, s.Web(), "-c", "2"), 2, onA)
		for _, port := range []string{"", "/udp"} {
			r = s.pinged(0, refused+port, "-c", "2")
			if s.all(r, 2, onA); r.Refused != 2 {
				t.Errorf("%s: %+v", r.Target, r.Counts)
			}
		}
		r = s.pinged(0, "gateway", "--size", "auto", "-c", "1")
		if r.Size.Largest != 1420 || r.Size.Encrypted != 1480 || r.Size.Unanswered != 0 || r.PacketSize != 1420 {
			t.Errorf("%+v, packets of %d bytes", r.Size, r.PacketSize)
		}
	}
	ways()
	r := s.pinged(1, nowhere, "-c", "2")
	if l := r.Legs[1]; l.From != "A1" || l.Lost != 2 || l.Dropped["no-allowedips-match"] != 2 {
		t.Errorf("%+v", r.Legs)
	}
	sitetest.NFT(s.R, "forward", "udp length > 1300 drop")
	r = s.pinged(0, "gateway", "--size", "auto", "-c", "1")
	if z := r.Size; z.Largest != 1248 || z.Unanswered != 1249 || z.Encrypted != 1308 {
		t.Errorf("%+v", z)
	}
	s.R.Run("nft", "delete", "table", "inet", "fault")
	for args, says := range map[string]string{"nobody.invalid": "resolve", "gateway -c x": "want a number", s.Web() + " -s auto": "ICMP"} {
		sitetest.Fails(t, s.A, 2, says, append([]string{s.Wgnode, "ping", "wg0"}, strings.Fields(args)...)...)
	}
	s.A.Run(s.Wgnode, "down", "wg0")
	s.A.Run(s.Wgnode, "up", "wg0", "--netstack")
	ways()
}

// Ctrl-C prints the summary. What was under way by then does not count as lost.
func TestPingInterrupted(t *testing.T) {
	t.Parallel()
	s := newSite(t, false)
	s.UpBoth()
	p := s.A.Start(s.Wgnode, "ping", "gateway")
	p.WaitOutput(patience.Context(t), "seq=1 time=")
	if err := p.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	if err := p.Wait(); err != nil {
		t.Errorf("Ctrl-C: %v", err)
	}
	if out := p.Output(); !strings.Contains(out, "0% lost") || !strings.Contains(out, "the mdev of ping") {
		t.Error(out)
	}
}

// With the other host heard, the ways there and back are told apart, and where a probe was lost.
func TestPingWith(t *testing.T) {
	lab.Need(t, "nft", "ssh", "sshd", "ssh-keygen")
	t.Parallel()
	s := newSite(t, false)
	s.UpBoth()
	ssh := "WGNODE_SSH=" + s.sshd()
	with := func(status int, dest string) *legs.Report {
		t.Helper()
		r := s.pinged(status, ssh, dest, "-c", "4", "--with", "root@"+s.IP(s.Addr.HWan))
		s.noRecorder(s.H)
		return r
	}
	r := with(0, s.Web())
	s.all(r, 4, onBoth)
	if there, back := r.Legs[2], r.Legs[6]; there.Open == 0 || there.Open != back.Open ||
		there.Open > r.RTT.Most || there.RTT.Least < 0 || back.RTT.Least < 0 {
		t.Errorf("there %+v %+v, back %+v %+v", there, there.RTT, back, back.RTT)
	}
	drop(hostH, "forward", "icmp type echo-request")(s)
	r = with(1, s.IP(s.Addr.B))
	if l := r.Legs[4]; l.From != "B4" || l.Lost != 4 || l.Loss != 1 || len(r.Legs) != 5 {
		t.Errorf("%+v", r.Legs)
	}
}
