//go:build linux

package recordings

import (
	"path/filepath"
	"testing"

	"github.com/wgnode/wgnode/node/lab"
	"github.com/wgnode/wgnode/node/lab/sitetest"
	"github.com/wgnode/wgnode/probe/diagnose"
)

// merged is what the tests read of the JSON of merge.
type merged struct {
	Hosts  []struct{ Name string }
	Clocks []struct {
		Offset [2]*int64   `json:"offset_ns"`
		Skew   [2]*float64 `json:"skew_ppm"`
	}
	Links []struct {
		A, B         string
		Legs         []mergedLeg
		Translations []struct {
			From, To            string
			SeenFrom            string `json:"seen_from"`
			Source, Destination string
			Changes             int
		}
		Verdict *diagnose.Verdict
	}
	Flows []mergedFlow
	Lost  []struct {
		From, To, What, Leg string
		Receiver, Sender    uint32
		Counter             uint64
		Kernel              struct{ Host, Reason string }
	}
	Remarks []string
}

type mergedFlow struct {
	Client, Target, Proto string
	Verdict               diagnose.Verdict
	Ladder                []diagnose.Rung
	Hops                  []struct {
		A, B        string
		Forth, Back mergedLeg
		Passed      map[string]int
	}
}

type mergedLeg struct {
	From, To, What                                                              string
	Sent, Arrived, Lost, Unknown, Refused, Duplicated, Reordered, Unsent, Stray int
}

// recorded is a site whose two nodes are recorded.
type recorded struct {
	*site
	files [2]string
	end   [2]func() string
}

// recordBoth begins to record A and H.
func (s *site) recordBoth(args ...string) *recorded {
	s.T.Helper()
	dir := s.T.TempDir()
	r := &recorded{site: s}
	for i, h := range []*lab.Host{s.A, s.H} {
		r.files[i] = filepath.Join(dir, h.Name()+".pcapng")
		r.end[i] = s.record(h, append([]string{"-w", r.files[i]}, args...)...)
	}
	return r
}

// stop ends both recordings.
func (r *recorded) stop() {
	r.end[0]()
	r.end[1]()
}

// merge reads what merge makes of recordings.
func (s *site) merge(files []string, args ...string) *merged {
	s.T.Helper()
	out, status, err := s.A.Try(append(append([]string{s.Wgnode, "merge", "--json"}, args...), files...)...)
	var m merged
	if err != nil {
		s.T.Fatal(err)
	}
	if err := sitetest.Decode(s.T, "merge", out, &m); err != nil {
		s.T.Fatalf("merge: status %d: %v in\n%s", status, err, out)
	}
	return &m
}

func TestMergeHealthy(t *testing.T) {
	lab.Need(t, "curl")
	t.Parallel()
	s := newSite(t, false)
	s.UpBoth()
	r := s.recordBoth()
	s.A.Run("curl", "-sS", "http://"+s.Web())
	s.A.Run("ping", "-c", "3", "-i", "0.2", s.Inner(2))
	r.stop()
	out, _, err := s.A.Try(s.Wgnode, "merge", r.files[0], r.files[1], "--svg", "/tmp/merge-healthy.svg")
	t.Logf("%s %v", out, err)
	m := s.merge(r.files[:])
	for _, f := range m.Flows {
		if !f.Verdict.Healthy() {
			t.Errorf("%s: %+v", f.Target, f.Verdict)
		}
	}
}
