//go:build linux

package recordings

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/wgnode/wgnode/node/lab"
	"github.com/wgnode/wgnode/probe/patience"
	"github.com/wgnode/wgnode/probe/recording"
)

// counted are the drops that nft counted under a comment.
func counted(h *lab.Host, table, comment string) (n int) {
	for line := range strings.Lines(h.Run("nft", "list", "table", "inet", table)) {
		if strings.Contains(line, comment) {
			if m := regexp.MustCompile(`packets (\d+)`).FindStringSubmatch(line); m != nil {
				k, _ := strconv.Atoi(m[1])
				n += k
			}
		}
	}
	return n
}

// pingMessage is how long the message is that carries an ICMP echo of 84 bytes.
const pingMessage = 128

// numbers reads what tcpdump wrote of datagrams: receiver index and counter of each
// data message.
func numbers(t *testing.T, path string) (seen []string) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	const head, record = 24, 16 // of the classic pcap format
	for b = b[head:]; len(b) > record; {
		n := binary.LittleEndian.Uint32(b[8:])
		msg := b[record+14+20+8 : record+n] // behind Ethernet, IPv4 and UDP
		if n := len(msg); n%pingMessage != 0 {
			msg = msg[:min(n, pingMessage)]
		}
		for msg := range slices.Chunk(msg, pingMessage) { // several where the host segments later
			if msg[0] == 4 {
				seen = append(seen, fmt.Sprintf("%d %d", binary.LittleEndian.Uint32(msg[4:]), binary.LittleEndian.Uint64(msg[8:])))
			}
		}
		b = b[record+n:]
	}
	return seen
}

// One in a hundred packets is dropped on the way: each is named, with its leg, and no
// other, also if a clock is 37 s and 200 ppm off. What overtakes or comes twice is not
// lost.
func TestMergeLoss(t *testing.T) {
	lab.Need(t, "ping", "nft", "tcpdump")
	t.Parallel()
	s := newSite(t, false)
	s.UpBoth()
	s.A.Ping(s.Inner(2)) // a session
	s.R.RunInput(`table inet loss {
 chain c {
  type filter hook forward priority 0
  udp dport 51820 udp length > 40 numgen random mod 100 0 counter drop comment "forth"
  udp sport 51820 udp length > 40 numgen random mod 100 0 counter drop comment "back"
 }
}
`, "nft", "-f", "-")
	dir := t.TempDir()
	var dumps []*lab.Proc
	for _, link := range []string{"lan", "wan"} {
		d := s.R.Start("tcpdump", "-i", link, "-s", "0", "-B", "65536", "-U", "-w", filepath.Join(dir, link), "udp port 51820 or udp port 51821")
		d.WaitOutput(patience.Context(t), "listening on")
		dumps = append(dumps, d)
	}
	r := s.recordBoth("--since", "0s")
	s.A.Try("ping", "-q", "-c", "2500", "-i", "0.002", s.Inner(2))
	time.Sleep(1500 * time.Millisecond) // the end of what must have arrived
	r.stop()
	for _, d := range dumps {
		d.Stop()
	}
	// What came to R on one link and did not leave by the other.
	var want []string
	for leg, links := range map[string][2]string{"a": {"lan", "wan"}, "h": {"wan", "lan"}} {
		left := make(map[string]bool)
		for _, n := range numbers(t, filepath.Join(dir, links[1])) {
			left[n] = true
		}
		for _, n := range numbers(t, filepath.Join(dir, links[0])) {
			if !left[n] {
				want = append(want, leg+" "+n)
			}
		}
	}
	dropped := counted(s.R, "loss", `"forth"`) + counted(s.R, "loss", `"back"`)
	if len(want) < dropped || dropped < 10 { // nft counts as one what is to be segmented yet
		t.Fatalf("tcpdump misses %d, nft dropped %d", len(want), dropped)
	}
	off := filepath.Join(dir, "off.pcapng")
	reclock(t, r.files[1], off, 37*time.Second, 200)
	for _, second := range []string{r.files[1], off} {
		m := s.merge([]string{r.files[0], second})
		var got []string
		for _, l := range m.Lost {
			got = append(got, fmt.Sprintf("%s %d %d", l.From, l.Receiver, l.Counter))
		}
		slices.Sort(got)
		slices.Sort(want)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: lost (-on R, +merge):\n%s", second, diff)
		}
		for _, l := range m.Links[0].Legs {
			if l.Unknown != 0 || l.Stray != 0 {
				t.Errorf("%s to %s %s: %+v", l.From, l.To, l.What, l)
			}
		}
		c := m.Clocks[0]
		ahead := int64(0)
		if second == off {
			ahead = int64(37 * time.Second)
		}
		const slack = int64(5 * time.Millisecond) // 200 ppm of some seconds
		if c.Offset[0] == nil || c.Offset[1] == nil || *c.Offset[0] > ahead+slack || *c.Offset[1] < ahead-slack {
			t.Errorf("%s: clock %v, want %v", second, c.Offset, ahead)
		}
	}
}

// reclock writes a recording again as a host would have made it whose clock is ahead,
// and so much faster.
func reclock(t *testing.T, from, to string, ahead time.Duration, ppm float64) {
	t.Helper()
	r, packets := readRecording(t, from)
	begin := packets[0].Event.Time
	clock := func(ns int64) int64 { return ns + int64(ahead) + int64(float64(ns-begin)*ppm/1e6) }
	f, err := os.Create(to)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	meta := *r.Meta()
	meta.Clock.Started = time.Unix(0, clock(meta.Clock.Started.UnixNano()))
	w, err := recording.NewWriter(f, &meta)
	if err != nil {
		t.Fatal(err)
	}
	for i := range packets {
		e := packets[i].Event
		e.Time = clock(e.Time)
		if err := w.Event(&e, nil, packets[i].Lost); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.CloseAt(r.Loss(), time.Unix(0, clock(r.EndedAt().UnixNano()))); err != nil {
		t.Fatal(err)
	}
}

// unruly passes datagrams on R from A to H and back, and lets some overtake others,
// and some come twice. It returns where A is to send, and what it has done.
func (s *site) unruly() (endpoint string, done func() (overtaken, doubled int)) {
	s.T.Helper()
	in := s.R.ListenPacket("udp", ":51999")
	out, err := s.R.Dial(s.T.Context(), "udp", net.JoinHostPort(s.IP(s.Addr.HWan), "51820"))
	if err != nil {
		s.T.Fatal(err)
	}
	s.T.Cleanup(func() { out.Close() })
	var mu sync.Mutex
	var client net.Addr
	n, overtaken, doubled := 0, 0, 0
	var held [][]byte
	go func() {
		buf := make([]byte, 2000)
		for {
			k, from, err := in.ReadFrom(buf)
			if err != nil {
				return
			}
			mu.Lock()
			client = from
			msg := bytes.Clone(buf[:k])
			send := func(b []byte) { _, _ = out.Write(b) } // what is lost shows in the result
			switch n++; {
			case msg[0] != 4 || k == 32:
				send(msg)
			case n%10 == 3 && held == nil: // until the next has passed
				held = append(held, msg)
				overtaken++
			default:
				send(msg)
				if n%10 == 7 {
					send(msg)
					doubled++
				}
				for _, b := range held {
					send(b)
				}
				held = nil
			}
			mu.Unlock()
		}
	}()
	go func() {
		buf := make([]byte, 2000)
		for {
			k, err := out.Read(buf)
			if err != nil {
				return
			}
			mu.Lock()
			to := client
			mu.Unlock()
			_, _ = in.WriteTo(buf[:k], to) // as above
		}
	}()
	return net.JoinHostPort(s.IP(s.Addr.RLan), "51999"), func() (int, int) {
		mu.Lock()
		defer mu.Unlock()
		return overtaken - len(held), doubled
	}
}

// Packets that are overtaken, or come twice, are counted as that, and not as lost.
func TestMergeReorder(t *testing.T) {
	lab.Need(t, "ping")
	t.Parallel()
	s := newSite(t, false)
	endpoint, done := s.unruly()
	s.ConfA.Replace(t, net.JoinHostPort(s.IP(s.Addr.HWan), "51820"), endpoint)
	s.UpBoth()
	s.A.Ping(s.Inner(2))
	overtaken, doubled := done()
	r := s.recordBoth("--since", "0s")
	s.A.Run("ping", "-q", "-c", "300", "-i", "0.005", s.Inner(2))
	time.Sleep(1200 * time.Millisecond) // the end of what must have arrived
	r.stop()
	m := s.merge(r.files[:], "--to", s.Inner(2))
	if len(m.Flows) != 1 {
		t.Fatalf("%d flows", len(m.Flows))
	}
	o, d := done()
	f, b := m.Flows[0].Hops[0].Forth, m.Flows[0].Hops[0].Back
	if f.Lost > 1 || f.Unknown > 1 || f.Reordered != o-overtaken || f.Duplicated != d-doubled || f.Duplicated < 20 || f.Reordered < 20 {
		t.Errorf("forth %+v; %d were overtaken, %d doubled", f, o-overtaken, d-doubled)
	}
	if b.Lost != 0 || b.Reordered != 0 || b.Duplicated != 0 {
		t.Errorf("back %+v", b)
	}
}

// A new session and another address in the middle of a recording do not confuse it.
func TestMergeRekeyRoam(t *testing.T) {
	lab.Need(t, "ping", "nft")
	t.Parallel()
	s := newSite(t, false)
	s.UpBoth()
	s.A.Ping(s.Inner(2))
	r := s.recordBoth("--since", "0s")
	ping := func() { s.A.Run("ping", "-q", "-c", "50", "-i", "0.01", s.Inner(2)) }
	ping()
	// R forgets A, and gives it another port and address.
	s.R.Run("ip", "address", "add", "198.51.100.77/24", "dev", "wan")
	s.R.RunInput("flush table inet nat\ntable inet nat {\n chain postrouting {\n"+
		" oifname \"wan\" iifname \"lan\" ip protocol udp snat ip to 198.51.100.77:40000-40100\n }\n}\n", "nft", "-f", "-")
	s.R.Run("conntrack", "-F")
	ping()
	s.H.Run("wg", "set", "wg0", "peer", s.Alice.Public, "remove") // its session ends
	s.H.Run("wg", "set", "wg0", "peer", s.Alice.Public, "allowed-ips", s.Inner(1))
	s.A.Run(s.Wgnode, "explain", "wg0", s.Inner(2)) // until there is a new one
	ping()
	time.Sleep(1200 * time.Millisecond) // the end of what must have arrived
	r.stop()
	m := s.merge(r.files[:], "--to", s.Inner(2))
	if len(m.Flows) != 1 || !m.Flows[0].Verdict.Healthy() {
		t.Fatalf("flows %+v", m.Flows)
	}
	if f := m.Flows[0].Hops[0].Forth; f.Lost != 0 || f.Unknown != 0 || f.Arrived < 150 || len(m.Lost) != 0 {
		t.Errorf("forth %+v, lost %v", f, m.Lost)
	}
	n := m.Links[0].Translations[0]
	if n.Changes < 1 || !strings.HasPrefix(n.SeenFrom, "198.51.100.77:401") &&
		!strings.HasPrefix(n.SeenFrom, "198.51.100.77:400") || n.Source != "yes" {
		t.Errorf("translation %+v", n)
	}
}
