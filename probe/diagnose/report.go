package diagnose

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"time"

	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/evidence"
	"github.com/wgnode/wgnode/probe/fix"
	"github.com/wgnode/wgnode/probe/key"
	"github.com/wgnode/wgnode/probe/schema"
)

// Report is what became of one flow: the answer of "wgnode explain". Its JSON
// form is a public contract; keys may be added, none is renamed.
type Report struct {
	Schema    schema.Version `json:"schema"`
	Interface string         `json:"interface"`
	// Level is how much is known of the tunnel's packets, and so how much can be certain:
	// "device" is wgnode's own, "exact", "half" and "capture" are of the kernel's WireGuard.
	Level    probe.Level `json:"level,omitempty"`
	Target   string      `json:"target"`              // destination of the flow, "192.168.200.22:80" or an address
	Peer     string      `json:"peer"`                // public key in base64, "" where no peer matches
	PeerName string      `json:"peer_name,omitempty"` // as configured, "" if it has none
	Side     probe.Side  `json:"side,omitempty"`      // which half of the ladder was seen from here
	// Onward is the public key of the peer that the flow goes on to where it comes
	// from another, and OnwardName its name. The ladder then holds both halves.
	Onward     string `json:"onward,omitempty"`
	OnwardName string `json:"onward_name,omitempty"`

	// As is the process that the probe was sent as, with its user and control group; "" for the
	// node's own.
	As string `json:"as,omitempty"`
	// RTT is how long the answer to the probe took, 0 if none came.
	RTT time.Duration `json:"rtt_ns,omitempty"`
	// MTU is the tunnel's in bytes, and PathMTU the size of the largest packet in it
	// that got to the target and back; 0 if not known.
	MTU     int `json:"mtu,omitempty"`
	PathMTU int `json:"path_mtu,omitempty"`
	// HandshakeAge is how long ago the peer's latest handshake was completed, 0 if
	// none was.
	HandshakeAge time.Duration `json:"handshake_age_ns,omitempty"`

	Verdict  Verdict       `json:"verdict"`
	Ladder   List[Rung]    `json:"ladder"`
	Findings List[Finding] `json:"findings"`
	// Unchecked is what could not be looked at for findings, and why.
	Unchecked List[string] `json:"unchecked,omitempty"`
}

// DoctorReport is the state of a whole interface: the answer of "wgnode
// doctor". Its JSON form is a public contract, as that of [Report].
type DoctorReport struct {
	Schema    schema.Version   `json:"schema"`
	Interface string           `json:"interface"`
	Level     probe.Level      `json:"level,omitempty"` // as in a Report; "" where Dead
	MTU       int              `json:"mtu,omitempty"`   // of the tunnel, in bytes; 0 if not known
	Findings  List[Finding]    `json:"findings"`
	Unchecked List[string]     `json:"unchecked,omitempty"` // as in a Report
	Peers     List[PeerReport] `json:"peers"`
	// Drops counts, by reason, what was dropped that is no peer's.
	Drops map[string]uint64 `json:"drops,omitempty"`
	// Dead says that the interface's node has died: a finding says what it has
	// left, and there is nothing else to report.
	Dead bool `json:"dead,omitempty"`
}

// PeerReport is one peer's part of a [DoctorReport].
type PeerReport struct {
	Peer     string     `json:"peer"` // public key in base64
	PeerName string     `json:"peer_name,omitempty"`
	Side     probe.Side `json:"side,omitempty"`
	State    State      `json:"state"`
	// HandshakeAge is how long ago the latest handshake was completed, 0 if none was.
	HandshakeAge time.Duration `json:"handshake_age_ns,omitempty"`
	// Endpoint is where it is, and how that is known; nil if it has no endpoint.
	Endpoint *Whereabouts `json:"endpoint,omitempty"`

	Verdict Verdict    `json:"verdict"`
	Ladder  List[Rung] `json:"ladder"`

	// Drops counts the peer's dropped packets by reason, since the node began.
	Drops map[string]uint64 `json:"drops,omitempty"`
}

// Degrade gives the peers whose packets a finding has seen to fail that state, if they
// are up. A finding about no peer in particular is about all.
func (r *DoctorReport) Degrade() {
	for i := range r.Peers {
		p := &r.Peers[i]
		if p.State == StateUp && slices.ContainsFunc(r.Findings, func(f Finding) bool {
			return f.Failing && (f.Peer.IsZero() || f.Peer.String() == p.Peer)
		}) {
			p.State = StateDegraded
		}
	}
}

// Healthy reports whether no peer has a fault; an idle one has none. A finding counts
// where it degrades a peer. A node that has died has a fault, whatever its peers were.
func (r *DoctorReport) Healthy() bool {
	if r.Dead {
		return false
	}
	for i := range r.Peers {
		if v := &r.Peers[i].Verdict; !v.Healthy() && v.Code != Idle || r.Peers[i].State == StateDegraded {
			return false
		}
	}
	return true
}

// Beside returns the findings that no verdict has told already.
func Beside(findings []Finding, told ...*Verdict) []Finding {
	return slices.DeleteFunc(slices.Clone(findings), func(f Finding) bool {
		return slices.ContainsFunc(told, func(v *Verdict) bool { return v.Code == f.Code })
	})
}

// Verdict says what is wrong with a flow, or that nothing is. It claims no
// more than its evidence shows: where several causes look the same from this
// host, Code is the general one, Certain is false, and Candidates lists them.
//
// The JSON form also holds "healthy" and "class", which follow from Code, and Fix
// twice: as "steps", and as "fix", their lines. Evidence is two lists of the same
// length there: the texts, and as "known" how each is known.
type Verdict struct {
	Code       Code
	Checkpoint probe.Checkpoint // the first that did not happen; none if healthy
	Where      Where
	// Certain says that the evidence excludes every other cause. [Verdict.Weigh] alone
	// sets it.
	Certain    bool
	Summary    string              // one sentence for people
	Evidence   List[evidence.Line] // what was observed, one fact each
	Fix        fix.Steps           // what to do, in order
	Candidates List[Candidate]     // possible causes, likeliest first
	// Host is the host that Summary and Fix mean by "this host", where the evidence
	// is that of several; "" where there is only one.
	Host string
}

// Healthy reports whether nothing is wrong.
func (v *Verdict) Healthy() bool { return v.Code == Healthy }

// Weigh sets Certain: whether the evidence that decides proves it. The text beside it is
// not asked. No other place may set it, so that no rule can claim more than it has.
func (v *Verdict) Weigh() { v.Certain = evidence.Certain(v.Evidence) }

// Class returns the class of the verdict's code.
func (v *Verdict) Class() Class { return v.Code.Class() }

// Where says on which stretch of the path the fault lies, seen from this host.
type Where string

// The stretches: this host, the network between the two tunnel ends, the host
// at the other end, and what lies behind that.
const (
	WhereHere   Where = "here"
	WherePath   Where = "path"
	WherePeer   Where = "peer"
	WhereBeyond Where = "beyond"
)

// Candidate is a possible cause, and the check that tells it from the others.
type Candidate struct {
	Code  Code   `json:"code"`
	Check string `json:"check"`
}

// Maybe is a candidate; the check is formatted as fmt.Sprintf does.
func Maybe(code Code, check string, args ...any) Candidate {
	return Candidate{Code: code, Check: fmt.Sprintf(check, args...)}
}

// Finding is something found in the configuration or the host's state that
// need not be the cause of anything.
//
// The JSON form has Fix twice, as that of a [Verdict].
type Finding struct {
	Code    Code
	Peer    key.Public // public key in base64, if it is about one
	Summary string
	Fix     fix.Steps
	// Failing: packets were seen to fail because of it; otherwise it need not hurt now.
	Failing bool
}

// Rung is one checkpoint of a ladder. Time is zero and Seam none where no
// packet was seen.
type Rung struct {
	Checkpoint probe.Checkpoint
	Status     Status
	Detail     string
	Time       time.Time
	Seam       probe.Seam
	PeerName   string
	Host       string // where it was seen, in a ladder of several hosts; else ""
}

// Status says what is known of a checkpoint.
type Status string

// NotNeeded is the status of a checkpoint that the flow does without: the
// handshake where a session stands already, B5 and B6 where the destination is
// the host itself.
const (
	Pass      Status = "pass"
	Fail      Status = "fail"
	Unknown   Status = "unknown"
	NotNeeded Status = "not-needed"
)

// List is a slice whose JSON form is never null: a nil List is []. A plain
// slice can be assigned to it.
type List[T any] []T

// MarshalJSON implements [json.Marshaler].
func (l List[T]) MarshalJSON() ([]byte, error) {
	if l == nil {
		return []byte("[]"), nil
	}
	return json.Marshal([]T(l))
}

// verdictJSON, findingJSON and rungJSON are the forms of Verdict, Finding and Rung in
// JSON.
type (
	verdictJSON struct {
		Healthy    bool         `json:"healthy"`
		Code       Code         `json:"code"`
		Class      Class        `json:"class"`
		Checkpoint string       `json:"checkpoint"`
		Where      Where        `json:"where"`
		Certain    bool         `json:"certain"`
		Summary    string       `json:"summary"`
		Evidence   List[string] `json:"evidence"`
		// Known is how each line of the evidence is known.
		Known List[evidence.Known] `json:"known"`
		fixJSON
		Candidates List[Candidate] `json:"candidates"`
		Host       string          `json:"host,omitempty"`
	}
	findingJSON struct {
		Code    Code       `json:"code"`
		Peer    key.Public `json:"peer,omitzero"` // public key in base64, if it is about one
		Summary string     `json:"summary"`
		fixJSON
		Failing bool `json:"failing,omitempty"` // packets were seen to fail because of it
	}
	// fixJSON is what to do, as lines and as steps.
	fixJSON struct {
		Fix   List[string]   `json:"fix"`
		Steps List[fix.Step] `json:"steps"`
	}
	rungJSON struct {
		Checkpoint string    `json:"checkpoint"`
		Status     Status    `json:"status"`
		Detail     string    `json:"detail"`
		Time       time.Time `json:"time,omitzero"` // RFC 3339 with nanoseconds, UTC
		Seam       string    `json:"seam,omitempty"`
		PeerName   string    `json:"peer_name,omitempty"`
		Host       string    `json:"host,omitempty"`
	}
)

// JSONForms are the structs that types of this package are written as, for those who
// describe the JSON.
func JSONForms() map[reflect.Type]reflect.Type {
	return map[reflect.Type]reflect.Type{
		reflect.TypeFor[Verdict](): reflect.TypeFor[verdictJSON](),
		reflect.TypeFor[Finding](): reflect.TypeFor[findingJSON](),
		reflect.TypeFor[Rung]():    reflect.TypeFor[rungJSON](),
	}
}

// MarshalJSON implements [json.Marshaler].
func (v Verdict) MarshalJSON() ([]byte, error) {
	known := make([]evidence.Known, len(v.Evidence))
	for i, l := range v.Evidence {
		known[i] = l.Known
	}
	return json.Marshal(verdictJSON{v.Healthy(), v.Code, v.Class(), v.Checkpoint.String(),
		v.Where, v.Certain, v.Summary, evidence.Texts(v.Evidence), known, writeFix(v.Fix), v.Candidates, v.Host})
}

// UnmarshalJSON implements [json.Unmarshaler]. It ignores "healthy" and
// "class". Which lines of the evidence decide is not written.
func (v *Verdict) UnmarshalJSON(b []byte) error {
	var j verdictJSON
	if err := json.Unmarshal(b, &j); err != nil {
		return err
	}
	cp, err := parseCheckpoint(j.Checkpoint)
	if err != nil {
		return err
	}
	*v = Verdict{j.Code, cp, j.Where, j.Certain, j.Summary, j.lines(), j.steps(), j.Candidates, j.Host}
	return nil
}

// lines are the evidence that was read. An older version does not say how it is known:
// then it is taken for the least.
func (j *verdictJSON) lines() List[evidence.Line] {
	var lines List[evidence.Line]
	for i, text := range j.Evidence {
		known := evidence.Inferred
		if i < len(j.Known) {
			known = j.Known[i]
		}
		lines = append(lines, evidence.Line{Text: text, Known: known})
	}
	return lines
}

func writeFix(steps fix.Steps) fixJSON { return fixJSON{steps.Lines(), List[fix.Step](steps)} }

// steps are those of a verdict or finding that was read: one of an older version has
// lines only.
func (j *fixJSON) steps() fix.Steps {
	if len(j.Steps) == 0 {
		return fix.FromLines(j.Fix)
	}
	return fix.Steps(j.Steps)
}

// MarshalJSON implements [json.Marshaler].
func (f Finding) MarshalJSON() ([]byte, error) {
	return json.Marshal(findingJSON{f.Code, f.Peer, f.Summary, writeFix(f.Fix), f.Failing})
}

// UnmarshalJSON implements [json.Unmarshaler].
func (f *Finding) UnmarshalJSON(b []byte) error {
	var j findingJSON
	if err := json.Unmarshal(b, &j); err != nil {
		return err
	}
	*f = Finding{j.Code, j.Peer, j.Summary, j.steps(), j.Failing}
	return nil
}

// MarshalJSON implements [json.Marshaler].
func (r Rung) MarshalJSON() ([]byte, error) {
	t := r.Time
	if !t.IsZero() {
		t = t.UTC()
	}
	return json.Marshal(rungJSON{r.Checkpoint.String(), r.Status, r.Detail, t,
		r.Seam.String(), r.PeerName, r.Host})
}

// UnmarshalJSON implements [json.Unmarshaler].
func (r *Rung) UnmarshalJSON(b []byte) error {
	var j rungJSON
	if err := json.Unmarshal(b, &j); err != nil {
		return err
	}
	cp, err := parseCheckpoint(j.Checkpoint)
	if err != nil {
		return err
	}
	seam, ok := probe.ParseSeam(j.Seam)
	if !ok && j.Seam != "" {
		return fmt.Errorf("read report: unknown seam %q", j.Seam)
	}
	*r = Rung{cp, j.Status, j.Detail, j.Time, seam, j.PeerName, j.Host}
	return nil
}

func parseCheckpoint(s string) (probe.Checkpoint, error) {
	cp, ok := probe.ParseCheckpoint(s)
	if !ok && s != "" {
		return 0, fmt.Errorf("read report: unknown checkpoint %q", s)
	}
	return cp, nil
}
