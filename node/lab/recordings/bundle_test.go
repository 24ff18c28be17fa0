//go:build linux

package recordings

import (
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/wgnode/wgnode/node/bundle"
	"github.com/wgnode/wgnode/node/lab"
	"github.com/wgnode/wgnode/node/lab/sitetest"
	"github.com/wgnode/wgnode/probe/diagnose"
	"github.com/wgnode/wgnode/probe/patience"
)

// bundle makes one on A, and wants it to be this user's alone.
func (s *site) bundle(args ...string) (file string, index *bundle.Index) {
	s.T.Helper()
	file = s.T.TempDir() + "/b.tar.gz"
	out, status, err := s.A.Try(append([]string{s.Wgnode, "bundle", "wg0", "-w", file, "--json"}, args...)...)
	if err != nil || status != 0 || sitetest.Decode(s.T, "bundle", out, &index) != nil {
		s.T.Fatalf("bundle: status %d, %v\n%s", status, err, out)
	}
	if info, err := os.Stat(file); err != nil || info.Mode() != 0o600 {
		s.T.Errorf("%v, %v", info, err)
	}
	return file, index
}

// missing are the parts of a bundle that could not be had.
func missing(index *bundle.Index) (names []string) {
	for _, p := range index.Parts {
		if p.Missing != "" {
			names = append(names, p.Name)
		}
	}
	return names
}

// sameElsewhere wants the verdict of a bundle, read on another host, to be the one that is wanted.
func (s *site) sameElsewhere(file, dest string, want *diagnose.Report) {
	s.T.Helper()
	var r diagnose.Report
	out, _, err := s.B.Try(s.Wgnode, "explain", "-r", file, dest, "--json")
	i := strings.IndexByte(out, '{')
	if err != nil || i < 0 || json.NewDecoder(strings.NewReader(out[i:])).Decode(&r) != nil {
		s.T.Fatalf("%v\n%s", err, out)
	}
	v, w := &r.Verdict, &want.Verdict
	if v.Code != w.Code || v.Certain != w.Certain || v.Checkpoint != w.Checkpoint || v.Where != w.Where {
		s.T.Errorf("verdict %s at %v, certain %v; on its host it was %s at %v, certain %v",
			v.Code, v.Checkpoint, v.Certain, w.Code, w.Checkpoint, w.Certain)
	}
}

// A bundle of a tunnel that is broken has the same verdict on another host, by each way in which
// one is had.
func TestBundle(t *testing.T) {
	lab.Need(t, "nft", "ip", "tar")
	t.Parallel()
	s := newSite(t, false)
	psk := lab.NewKey(t).Private
	s.ConfH.Replace(t, "AllowedIPs = 10.0.0.1/32", "PresharedKey = "+psk+"\nAllowedIPs = 10.0.0.1/32")
	s.ConfA.Replace(t, "[Peer]", "PostUp = true "+psk+"\n[Peer]")
	s.UpBoth()
	want := s.Explain(s.Web()) // by a handshake
	s.Want(want, diagnose.PSKMismatch, "preshared")
	file, index := s.bundle()
	if lacks := missing(index); len(lacks) > 1 { // the log
		t.Errorf("missing: %q", lacks)
	}
	s.sameElsewhere(file, s.Web(), want)
	// An address that is no peer's is not put down to the peer that fails.
	out, _, err := s.B.Try(s.Wgnode, "explain", "-r", file, "203.0.113.77:443", "--json")
	if err != nil || strings.Contains(out, `"psk-mismatch"`) {
		t.Errorf("of an address that nobody has: %v\n%s", err, out)
	}
	for _, command := range []string{"doctor -r", "watch --json -r"} {
		if out, _, err := s.B.Try(append(append([]string{s.Wgnode}, strings.Fields(command)...), file)...); err != nil ||
			!strings.Contains(out, "gateway") {
			t.Errorf("%s: %v\n%s", command, err, out)
		}
	}
	text := s.A.Run("tar", "-xzOf", file)
	for _, secret := range []string{psk, s.Alice.Private, s.Gateway.Private} {
		if strings.Contains(text, secret) {
			t.Error("a secret is in it")
		}
	}
	sitetest.Fails(t, s.A, 1, "exists", s.Wgnode, "bundle", "wg0", "-w", file)

	named, index := s.bundle("--anonymize")
	text = s.A.Run("tar", "-xzOf", named)
	for _, name := range []string{"gateway", s.Gateway.Public, s.Inner(1) + "/24"} {
		if strings.Contains(text, name) {
			t.Errorf("%q is in it", name)
		}
	}
	var doctor diagnose.DoctorReport
	out, status, err := s.B.Try(s.Wgnode, "doctor", "-r", named, "--json")
	i := strings.IndexByte(out, '{')
	if err != nil || i < 0 || json.NewDecoder(strings.NewReader(out[i:])).Decode(&doctor) != nil || status != 2 ||
		!index.Anonymized || doctor.Peers[0].Verdict.Code != diagnose.PSKMismatch {
		t.Errorf("anonymized: status %d, %v\n%s", status, err, out)
	}

	s.A.Run("ip", "route", "flush", "scope", "global") // by what doctor finds of the host
	want = s.Explain(s.Web())
	s.Want(want, diagnose.EndpointNotRouted, "route")
	file, _ = s.bundle()
	s.sameElsewhere(file, s.Web(), want)
}

// With a probe it has the verdict of that, from a source that no recording has.
func TestBundleExplains(t *testing.T) {
	lab.Need(t, "nft")
	t.Parallel()
	s := newSite(t, false)
	s.UpBoth()
	sitetest.NFT(s.A, "input", `tcp sport 80 drop comment "Sesame"`)
	want := s.Explain(s.Web())
	s.Want(want, diagnose.InputFirewall, "rule")
	file, _ := s.bundle("--explain", s.Web())
	s.sameElsewhere(file, s.Web(), want)
	if text := s.A.Run("tar", "-xzOf", file); strings.Contains(text, "Sesame") || !strings.Contains(text, "hidden #") {
		t.Error("the comment of a rule is in it")
	}
}

// It works of a node that has died, and for a user who may see little.
func TestBundleOfLittle(t *testing.T) {
	lab.Need(t, "setpriv", "ip")
	t.Parallel()
	s := newSite(t, false)
	s.Up(s.A, s.ConfA)
	s.A.Run("install", "-D", "-m", "755", s.Wgnode, "/run/bin/wgnode") // where that user may look
	out := s.A.Run("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "sh", "-c",
		"/run/bin/wgnode bundle wg0 -w - 2>&1 >/dev/null")
	for _, want := range []string{"belongs to root", "routes.txt", "doctor.json               -"} {
		if !strings.Contains(out, want) {
			t.Errorf("%q is not in\n%s", want, out)
		}
	}
	s.kill()
	file, index := s.bundle()
	if lacks := strings.Join(missing(index), " "); !strings.Contains(lacks, bundle.RecordingName) || strings.Contains(lacks, "config.conf") {
		t.Errorf("missing: %s", lacks)
	}
	sitetest.Fails(t, s.B, 2, "wgnode recover wg0", s.Wgnode, "doctor", "-r", file)
	sitetest.Fails(t, s.B, 1, "the bundle has no recording", s.Wgnode, "explain", "-r", file, s.Web())
}

// kill has A's node die.
func (s *site) kill() {
	s.T.Helper()
	s.A.Run("sh", "-c", `kill -9 $(sed -n 's/.*"process":{"pid":\([0-9]*\).*/\1/p' /run/wgnode/wg0.json)`)
	patience.Until(s.T, "the node has died", func() bool {
		out, _, err := s.A.Try(s.Wgnode, "doctor", "wg0")
		return err == nil && strings.Contains(out, "died")
	})
}
