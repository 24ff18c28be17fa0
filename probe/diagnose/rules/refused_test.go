package rules

import (
	"slices"
	"syscall"
	"testing"

	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/diagnose"
	"github.com/wgnode/wgnode/probe/evidence"
)

// EPERM alone does not say what refuses to send: a rule, IPsec, or a program of a control
// group. How far netfilter has seen the packet come, and the kernel's own account, tell.
func TestNotPermitted(t *testing.T) {
	blocks := []evidence.XfrmBlock{{Text: "IPsec policy", Fix: "ip xfrm policy delete"}}
	for _, c := range []struct {
		name         string
		seen         *evidence.Traversal // nil: nobody looked
		xfrm         []evidence.XfrmBlock
		outer, inner diagnose.Code // what it is of the encrypted packet, and of the probe
		first        diagnose.Code // the first candidate; "" for those of firewalls
		sure         bool
	}{
		{name: "not watched", outer: diagnose.UnderlayOutputFirewall, inner: diagnose.OutputFirewall},
		{name: "before netfilter", seen: &evidence.Traversal{}, outer: diagnose.BPFDrop, inner: diagnose.BPFDrop, first: diagnose.BPFDrop},
		{name: "before netfilter, by IPsec", seen: &evidence.Traversal{}, xfrm: blocks, outer: diagnose.UnderlayOutputFirewall,
			inner: diagnose.OutputFirewall, sure: true},
		{name: "between two hooks", seen: &evidence.Traversal{Packets: 1, Lost: "output"}, outer: diagnose.UnderlayOutputFirewall,
			inner: diagnose.OutputFirewall},
		{name: "after all hooks", seen: &evidence.Traversal{Packets: 1, Passed: "postrouting", Out: "wg0"}, outer: diagnose.BPFDrop,
			inner: diagnose.BPFDrop, first: diagnose.BPFDrop},
		{name: "by the kernel's account", seen: &evidence.Traversal{Packets: 1, Passed: "postrouting", Out: "wg0",
			KernelDrop: dropped("BPF_CGROUP_EGRESS", "ip_finish_output").KernelDrop}, outer: diagnose.BPFDrop, inner: diagnose.BPFDrop, sure: true},
		{name: "by a rule", seen: &evidence.Traversal{Packets: 1, Drop: aDrop("output")}, outer: diagnose.UnderlayOutputFirewall,
			inner: diagnose.OutputFirewall, sure: true},
	} {
		sends := sent(tell(probe.SideA).calls(), syscall.EPERM)
		sends.Peer.XfrmBlocks = c.xfrm
		probes := tell(probe.SideA)
		probes.Flow.Probe = diagnose.Probe{Sent: true, Done: true, Errno: syscall.EPERM}
		probes.Flow.XfrmBlocks = c.xfrm
		for _, one := range []struct {
			s    *story
			on   evidence.Segment
			want diagnose.Code
			wall diagnose.Code
		}{{sends, evidence.ToWire, c.outer, diagnose.UnderlayOutputFirewall}, {probes, evidence.ToTunnel, c.inner, diagnose.OutputFirewall}} {
			if c.seen != nil {
				one.s.Kernel = &evidence.KernelEvidence{}
				*one.s.Kernel.On(one.on) = *c.seen
			}
			v, settled := one.s.judge()
			if v.Code != one.want || v.Certain != c.sure || !settled {
				t.Errorf("%s, segment %d: %s, certain %v, settled %v: %s", c.name, one.on, v.Code, v.Certain, settled, v.Summary)
			}
			if c.sure {
				continue
			}
			first := one.wall
			if c.first != "" {
				first = c.first
			}
			has := func(code diagnose.Code) bool {
				return slices.ContainsFunc(v.Candidates, func(c diagnose.Candidate) bool { return c.Code == code })
			}
			if len(v.Candidates) < 2 || v.Candidates[0].Code != first || !has(one.wall) || !has(diagnose.BPFDrop) {
				t.Errorf("%s, segment %d: candidates %+v", c.name, one.on, v.Candidates)
			}
		}
	}
}

// A probe that is rejected before it enters the tunnel met a rule, or was redirected.
func TestRejectedHere(t *testing.T) {
	s := tell(probe.SideA)
	s.Flow.Probe = diagnose.Probe{Sent: true, Done: true, Errno: syscall.ECONNREFUSED}
	if v, settled := s.judge(); v.Code != diagnose.OutputFirewall || v.Certain || !settled || len(v.Candidates) < 2 {
		t.Errorf("%s, certain %v, settled %v: %+v", v.Code, v.Certain, settled, v.Candidates)
	}
}

// An error with which a socket refuses to send proves what it seems to mean only beside a
// route that agrees; others have several causes, and an ICMP error of anybody may be one.
func TestSendErrors(t *testing.T) {
	none := evidence.RouteDecision{Kind: evidence.RouteNone}
	for _, c := range []struct {
		name   string
		errno  syscall.Errno
		route  *evidence.RouteDecision // nil: there is one
		side   probe.Side
		want   diagnose.Code
		others []diagnose.Code
	}{
		{"no route, says the socket alone", syscall.ENETUNREACH, nil, probe.SideA, diagnose.EndpointNotRouted,
			[]diagnose.Code{diagnose.EndpointNotRouted, diagnose.EndpointUnreachable, diagnose.BPFDrop}},
		{"unreachable", syscall.EHOSTUNREACH, nil, probe.SideA, diagnose.EndpointNotRouted,
			[]diagnose.Code{diagnose.EndpointNotRouted, diagnose.EndpointUnreachable, diagnose.BPFDrop}},
		{"prohibited", syscall.EACCES, nil, probe.SideB, diagnose.EndpointNotRouted,
			[]diagnose.Code{diagnose.EndpointNotRouted, diagnose.EndpointUnreachable, diagnose.BPFDrop}},
		{"refused", syscall.ECONNREFUSED, nil, probe.SideA, diagnose.EndpointUnreachable,
			[]diagnose.Code{diagnose.EndpointUnreachable, diagnose.EndpointNotRouted, diagnose.BPFDrop}},
		{"no address", syscall.EADDRNOTAVAIL, nil, probe.SideA, diagnose.EndpointNotRouted,
			[]diagnose.Code{diagnose.EndpointNotRouted, diagnose.BPFDrop}},
		{"one that is not known", syscall.EIO, nil, probe.SideA, diagnose.EndpointNotRouted,
			[]diagnose.Code{diagnose.EndpointNotRouted, diagnose.BPFDrop}},
		{"a full queue", syscall.ENOBUFS, nil, probe.SideA, diagnose.UnderlayOutputFirewall,
			[]diagnose.Code{diagnose.UnderlayOutputFirewall, diagnose.UnderlayOutputFirewall}},
		{"no socket of that family", syscall.EAFNOSUPPORT, nil, probe.SideA, diagnose.EndpointNotRouted, nil},
		{"no route, says routing", syscall.ENETUNREACH, &none, probe.SideA, diagnose.EndpointNotRouted, nil},
		{"no route for the answer", syscall.ENETUNREACH, &none, probe.SideB, diagnose.EndpointNotRouted, nil},
		{"no route, by another error", syscall.EINVAL, &none, probe.SideB, diagnose.EndpointNotRouted, nil},
	} {
		s := tell(c.side)
		if c.side == probe.SideA {
			s = s.calls()
		}
		if s = sent(s, c.errno); c.route != nil {
			s.Peer.Route = *c.route
		}
		v, settled := s.judge()
		var others []diagnose.Code
		for _, o := range v.Candidates {
			others = append(others, o.Code)
		}
		if v.Code != c.want || v.Certain != (c.others == nil) || !settled || !slices.Equal(others, c.others) {
			t.Errorf("%s: %s, certain %t, settled %t, candidates %v: %s", c.name, v.Code, v.Certain, settled, others, v.Summary)
		}
	}
}
