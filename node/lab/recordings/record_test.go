//go:build linux

package recordings

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"github.com/wgnode/wgnode/node/lab"
	"github.com/wgnode/wgnode/node/lab/sitetest"
	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/diagnose"
	"github.com/wgnode/wgnode/probe/evidence"
	"github.com/wgnode/wgnode/probe/patience"
	"github.com/wgnode/wgnode/probe/recording"
)

// record starts a recording on a host; the function that it returns ends it, with
// Ctrl-C.
func (s *site) record(h *lab.Host, args ...string) (end func() string) {
	s.T.Helper()
	p := h.Start(append([]string{s.Wgnode, "record", "wg0"}, args...)...)
	p.WaitOutput(s.T.Context(), "recording wg0")
	return func() string {
		s.T.Helper()
		p.Signal(syscall.SIGINT)
		if err := p.Wait(); err != nil {
			s.T.Errorf("record: %v\n%s", err, p.Output())
		}
		return p.Output()
	}
}

// readRecording reads all of a recording.
func readRecording(t *testing.T, path string) (*recording.Reader, []recording.Packet) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	r, err := recording.NewReader(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	var packets []recording.Packet
	for {
		p, err := r.Next()
		if errors.Is(err, io.EOF) {
			return r, packets
		}
		if err != nil {
			t.Fatal(err)
		}
		packets = append(packets, *p)
		packets[len(packets)-1].Data = bytes.Clone(p.Data)
	}
}

// tshark reads a recording with Wireshark's dissectors, and wants no complaint.
func (s *site) tshark(path string, args ...string) string {
	s.T.Helper()
	out := s.A.Run(append([]string{"tshark", "-r", path}, args...)...)
	for line := range strings.Lines(out) {
		if strings.Contains(line, "cut short") || strings.Contains(line, "damaged") || strings.Contains(line, "Malformed") ||
			strings.Contains(line, "tshark: ") {
			s.T.Errorf("tshark complains: %s", line)
		}
	}
	return out
}

// wantNoKeys looks for keys in a file in every form that somebody might write.
func (s *site) wantNoKeys(path string, keys ...string) {
	s.T.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		s.T.Fatal(err)
	}
	for _, text := range append(keys, s.Alice.Private, s.Gateway.Private) {
		raw, err := base64.StdEncoding.DecodeString(text)
		if err != nil {
			s.T.Fatal(err)
		}
		for form, key := range map[string][]byte{"raw": raw, "base64": []byte(strings.TrimRight(text, "=")),
			"hex": []byte(hex.EncodeToString(raw))} {
			if bytes.Contains(bytes.ToLower(b), bytes.ToLower(key)) {
				s.T.Errorf("%s holds a secret key, %s", path, form)
			}
		}
	}
}

// A recording has what passed before it began and while it ran, Wireshark opens it,
// and so does tcpdump.
func TestRecord(t *testing.T) {
	lab.Need(t, "tshark", "tcpdump", "curl")
	t.Parallel()
	s := newSite(t, false)
	s.UpBoth()
	s.A.Run("curl", "-sS", "http://"+s.Web()) // with the handshake; then it is the past
	path := filepath.Join(t.TempDir(), "a.pcapng")
	end := s.record(s.A, "-w", path)
	s.A.Run("curl", "-sS", "http://"+s.Web()+"/second")
	if _, err := os.Stat(path); err == nil {
		t.Error("the file is there before it is complete")
	}
	said := end()
	if !strings.Contains(said, "packets, ") || strings.Contains(said, "missing") {
		t.Errorf("record says %q", said)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
	s.wantNoKeys(path)

	r, packets := readRecording(t, path)
	m := r.Meta()
	if m.Host == "" || m.Interface != "wg0" || m.PublicKey.String() != s.Alice.Public || len(m.Peers) != 1 ||
		m.Peers[0].Name != "gateway" || len(m.Peers[0].AllowedIPs) != 4 || !r.Complete() || r.Loss() != (recording.Loss{}) {
		t.Errorf("meta %+v, loss %+v", m, r.Loss())
	}
	// The flow of each request has all its checkpoints, and the second, which was
	// captured, has headers in full and no content.
	for i, made := range []bool{true, false} {
		seen := map[probe.Checkpoint]bool{}
		for _, p := range packets {
			if p.Event.Checkpoint == probe.CheckpointNone || p.Event.Kind == probe.KindKeepalive {
				continue
			}
			if p.Interface == recording.Inside && p.Made != made {
				continue
			}
			seen[p.Event.Checkpoint] = true
			if p.Interface == recording.Inside && !made && p.Event.Proto == probe.ProtoTCP && (len(p.Data) < 40 || len(p.Data) > 60) {
				t.Errorf("headers of %d bytes: %x", len(p.Data), p.Data)
			}
		}
		for _, cp := range []probe.Checkpoint{probe.A1, probe.A2, probe.A3, probe.A4, probe.A5, probe.A6} {
			if !seen[cp] {
				t.Errorf("request %d: no %v", i+1, cp)
			}
		}
	}

	out := s.tshark(path, "-T", "fields", "-e", "frame.time_epoch", "-e", "frame.interface_name", "-e", "frame.comment",
		"-e", "wg.type", "-e", "tcp.flags.syn", "-e", "tcp.flags.ack")
	for _, want := range []string{
		`\d\.\d{9}\twg0\tA1 tun-read gateway match 192\.168\.200\.0/24`,
		`\twg0 wire\tA2 udp-send gateway\t1\t`,
		`\twg0 wire\tA4 udp-send gateway: [0-9.:]+ > ` + regexp.QuoteMeta(s.Web()) + ` tcp match 192.168.200.0/24\t4\t`,
		`\twg0\tA6 tun-write gateway match .* index 0x[0-9a-f]+ counter \d+\t\t(1|True)\t(1|True)\n`,
		`\twg0 notes\tA3 device gateway: session established\t`,
	} {
		if !regexp.MustCompile(want).MatchString(out) {
			t.Errorf("tshark does not show %s in\n%s", want, out)
		}
	}
	if wg := s.tshark(path, "-Y", "tcp.analysis.flags || _ws.malformed || _ws.expert.severity >= 0x800000"); strings.Contains(wg, " → ") {
		t.Errorf("Wireshark finds fault with\n%s", wg)
	}
	if dump := s.A.Run("tcpdump", "-nr", path); strings.Count(dump, "\n") < len(packets) {
		t.Errorf("tcpdump shows of %d packets\n%s", len(packets), dump)
	}

	// What tshark writes again is still a recording.
	again := filepath.Join(t.TempDir(), "again.pcapng")
	s.A.Run("tshark", "-r", path, "-Y", "frame.interface_name == \"wg0\"", "-w", again)
	if _, inside := readRecording(t, again); len(inside) == 0 || len(inside) >= len(packets) {
		t.Errorf("%d packets of %d after tshark has chosen", len(inside), len(packets))
	}
}

// What watch, explain and doctor say of a recording is what they say of the node.
func TestRecordingInPlaceOfNode(t *testing.T) {
	t.Parallel()
	s := newSite(t, false)
	s.UpBoth()
	s.Want(s.Explain(s.Web()), diagnose.Healthy, "")
	path := filepath.Join(t.TempDir(), "a.pcapng")
	hub := filepath.Join(t.TempDir(), "h.pcapng")
	s.record(s.A, "-w", path)()
	s.record(s.H, "-w", hub)()

	events := s.A.Run(s.Wgnode, "watch", "-r", path, "--json")
	lines := strings.SplitAfter(events, "\n")
	p := s.A.Start(s.Wgnode, "watch", "wg0", "--past", "--json")
	p.WaitOutput(t.Context(), lines[len(lines)-2])
	p.Stop()
	if live := p.Output(); !strings.HasPrefix(live, events) {
		t.Errorf("watch of the recording:\n%s\nof the node:\n%s", events, live)
	}
	for _, args := range [][]string{{}, {"tcp", "peer", "gateway", "A4"}} {
		got := s.A.Run(append([]string{s.Wgnode, "watch", "-r", path}, args...)...)
		if !strings.Contains(got, "A4 udp-send    gateway") {
			t.Errorf("watch %v of the recording:\n%s", args, got)
		}
	}
	for _, file := range []string{path, hub} {
		if r := s.explainFile(file); !r.Verdict.Healthy() {
			t.Errorf("explain of %s: %+v", file, r)
		}
	}
	var r diagnose.DoctorReport
	if status := s.Ask(s.A, &r, "doctor", "-r", path); status != 0 || len(r.Peers) != 1 || r.Peers[0].State != diagnose.StateUp ||
		r.Peers[0].PeerName != "gateway" {
		t.Errorf("doctor: status %d, %+v", status, r)
	}
	if status := s.Ask(s.A, &r, "doctor", "-r", path, "gateway"); status != 0 || len(r.Peers) != 1 {
		t.Errorf("doctor of a peer: status %d, %+v", status, r)
	}
	sitetest.Fails(t, s.A, 1, `wg0 has no peer called "nobody"`, s.Wgnode, "doctor", "-r", path, "nobody")

	// A fault, on both sides.
	sitetest.NFT(s.H, "forward", "tcp dport 80 drop")
	s.Want(s.Explain(s.Web()), diagnose.NoReply, "")
	s.ConfA.Replace(t, "PublicKey", "PresharedKey = "+s.Alice.Private+"\nPublicKey")
	s.A.Run(s.Wgnode, "down", "wg0")
	faulty := filepath.Join(t.TempDir(), "f.pcapng")
	s.Up(s.A, s.ConfA)
	s.Want(s.Explain(s.Web()), diagnose.PSKMismatch, "")
	s.record(s.A, "-w", faulty)()
	s.wantNoKeys(faulty)
	if r := s.explainFile(faulty); r.Verdict.Code != diagnose.PSKMismatch || len(r.Unchecked) == 0 {
		t.Errorf("explain: %+v", r)
	}
	if status := s.Ask(s.A, &r, "doctor", "-r", faulty); status != 2 || r.Peers[0].Verdict.Code != diagnose.PSKMismatch {
		t.Errorf("doctor: status %d, %+v", status, r)
	}
	s.record(s.H, "-w", hub, "--force")()
	if r := s.explainFile(hub); r.Verdict.Code != diagnose.NoReplyFromDestination || r.Verdict.Certain ||
		!strings.Contains(strings.Join(evidence.Texts(r.Verdict.Evidence), "\n"), "a recording holds what the kernel drops, and not what else") {
		t.Errorf("explain on the hub: %+v", r)
	}

	// Cut off, it says so; what is none, too.
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, b[:len(b)*2/3], 0o600); err != nil {
		t.Fatal(err)
	}
	if got := s.A.Run(s.Wgnode, "watch", "-r", path); !strings.Contains(got, "A1 tun-read") || !strings.Contains(got, "was cut off") {
		t.Errorf("watch of half a recording:\n%s", got)
	}
	if got, status, err := s.A.Try(s.Wgnode, "doctor", "-r", "/etc/wireguard/wg0.conf"); err != nil || status != 1 ||
		!strings.Contains(got, "not a recording") {
		t.Errorf("doctor of a configuration: status %d, %v\n%s", status, err, got)
	}
}

// explainFile explains the site's flow from a recording.
func (s *site) explainFile(path string) *diagnose.Report {
	s.T.Helper()
	var r diagnose.Report
	status := s.Ask(s.A, &r, "explain", "-r", path, s.Web())
	if want := map[bool]int{true: 0, false: 2}[r.Verdict.Healthy()]; status != want {
		s.T.Errorf("exit status %d with verdict %s", status, r.Verdict.Code)
	}
	return &r
}

// With keys Wireshark sees what is in the encrypted packets, on the side that called
// and on the one that was called, with a preshared key and after a new handshake.
// Without having been told to, a node cannot give them.
func TestRecordKeys(t *testing.T) {
	lab.Need(t, "tshark", "curl")
	t.Parallel()
	s := newSite(t, false)
	psk := lab.NewKey(t).Private
	s.ConfA.Replace(t, "PublicKey", "PresharedKey = "+psk+"\nPublicKey")
	s.ConfH.Replace(t, "PublicKey", "PresharedKey = "+psk+"\nPublicKey")
	for _, side := range []struct {
		host *lab.Host
		conf *sitetest.Conf
	}{{s.H, s.ConfH}, {s.A, s.ConfA}} {
		side.host.WriteFile("/etc/wireguard/wg0.conf", side.conf.Text, 0o600)
		side.host.Run(s.Wgnode, "up", "wg0", "--session-keys")
	}
	s.A.Run("curl", "-sS", "http://"+s.Web()+"/past") // the handshake
	dir := t.TempDir()
	var ends []func() string
	paths := []string{filepath.Join(dir, "a.pcapng"), filepath.Join(dir, "h.pcapng")}
	for i, h := range []*lab.Host{s.A, s.H} {
		ends = append(ends, s.record(h, "-w", paths[i], "--snaplen", "0", "--keys"))
	}
	s.A.Run("curl", "-sS", "http://"+s.Web()+"/present")
	for i, end := range ends {
		if said := end(); !strings.Contains(said, "will hold the private key") {
			t.Errorf("no warning: %q", said)
		}
		out := s.tshark(paths[i], "-Y", `wg && tcp contains "GET /present"`, "-T", "fields", "-e", "frame.interface_name")
		if !strings.Contains(out, "wg0 wire") {
			t.Errorf("tshark decrypts of %s\n%s", paths[i], out)
		}
		if info, err := os.Stat(paths[i]); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%v, %v", info, err)
		}
	}
	// Whole packets without keys: nothing is decrypted, and no key is in the file.
	plain := filepath.Join(dir, "plain.pcapng")
	end := s.record(s.A, "-w", plain, "--snaplen", "0")
	s.A.Run("curl", "-sS", "http://"+s.Web()+"/present")
	end()
	s.wantNoKeys(plain, psk)
	if out := s.tshark(plain, "-Y", `tcp contains "GET /present"`, "-T", "fields", "-e",
		"frame.interface_name"); !strings.Contains(out, "wg0\n") || strings.Contains(out, "wire") {
		t.Errorf("tshark without keys shows\n%s", out)
	}

	s.A.Run(s.Wgnode, "down", "wg0")
	s.A.Run(s.Wgnode, "up", "wg0")
	refused := filepath.Join(dir, "refused.pcapng")
	out, status, err := s.A.Try(s.Wgnode, "record", "wg0", "-w", refused, "--snaplen", "0", "--keys")
	if err != nil || status != 1 || !strings.Contains(out, "bring it up with --session-keys") {
		t.Errorf("keys of a node that has none: status %d, %v\n%s", status, err, out)
	}
	if left, err := filepath.Glob(refused + "*"); err != nil || len(left) > 0 {
		t.Errorf("left behind: %q, %v", left, err)
	}
}

// A recording ends by itself when its time or its size is reached, goes through a
// pipe, and what is left of one that was killed can be read and is not overwritten.
func TestRecordOutputs(t *testing.T) {
	t.Parallel()
	s := newSite(t, false)
	s.UpBoth()
	s.A.Ping("10.0.0.2")
	dir := t.TempDir()
	path := func(name string) string { return filepath.Join(dir, name) }

	s.A.Run("sh", "-c", s.Wgnode+" record wg0 -w - --for 200ms icmp > "+path("piped.pcapng"))
	if r, packets := readRecording(t, path("piped.pcapng")); !r.Complete() || len(packets) == 0 ||
		strings.Join(r.Meta().Filter, " ") != "icmp" {
		t.Errorf("through a pipe: %d packets, %+v", len(packets), r.Meta())
	}

	p := s.A.Start(s.Wgnode, "record", "wg0", "-w", path("killed.pcapng"), "--since", "0s")
	p.WaitOutput(t.Context(), "recording wg0")
	s.A.Run("ping", "-c", "20", "-i", "0.01", "10.0.0.2")
	part := path("killed.pcapng.part")
	patience.Until(s.T, "packets in the file", func() bool {
		out, _, err := s.A.Try(s.Wgnode, "watch", "-r", part, "icmp", "A6")
		return err == nil && strings.Count(out, "A6") == 20
	})
	p.Signal(syscall.SIGKILL)
	_ = p.Wait() // killed
	before, err := os.ReadFile(part)
	if err != nil {
		t.Fatal(err)
	}
	if out, status, err := s.A.Try(s.Wgnode, "record", "wg0", "-w", path("killed.pcapng"), "--for", "1s"); err != nil || status != 1 ||
		!strings.Contains(out, "--force") {
		t.Errorf("over what was left: status %d, %v\n%s", status, err, out)
	}
	if after, err := os.ReadFile(part); err != nil || !bytes.Equal(before, after) {
		t.Errorf("what was left has changed: %v", err)
	}

	full := s.A.Start(s.Wgnode, "record", "wg0", "-w", path("full.pcapng"), "--max", "64K", "--since", "0s")
	full.WaitOutput(t.Context(), "recording wg0")
	rotated := s.A.Start(s.Wgnode, "record", "wg0", "-w", path("rotated.pcapng"), "--max", "64K", "--files", "2", "--since", "0s")
	rotated.WaitOutput(t.Context(), "recording wg0")
	s.A.Run("ping", "-f", "-c", "300", "10.0.0.2")
	if err := full.Wait(); err != nil { // by itself
		t.Errorf("a recording that is full: %v", err)
	}
	if info, err := os.Stat(path("full.pcapng")); err != nil || info.Size() > 65<<10 || info.Size() < 60<<10 {
		t.Errorf("%v, %v", info, err)
	}
	patience.Until(s.T, "a third file", func() bool {
		parts, err := filepath.Glob(path("rotated.*.part"))
		return err == nil && len(parts) == 1 && parts[0] >= path("rotated.00003")
	})
	rotated.Stop()
	if got, err := filepath.Glob(path("rotated*")); err != nil || len(got) != 2 || got[1] < path("rotated.00003.pcapng") {
		t.Errorf("files: %q, %v", got, err)
	}
}
