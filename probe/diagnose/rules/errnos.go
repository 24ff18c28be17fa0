package rules

import (
	"fmt"
	"syscall"

	"github.com/wgnode/wgnode/probe/diagnose"
	"github.com/wgnode/wgnode/probe/evidence"
	"github.com/wgnode/wgnode/probe/fix"
	"github.com/wgnode/wgnode/probe/harmless"
)

// This file judges by the error with which the kernel refuses to send. Most of them have
// several causes: routing, a program of a control group, which may choose the error, and what
// an ICMP error about an earlier datagram has left at the socket. The socket takes those
// back (tunnel/udp), but not without end, and anybody can send them.

// sendError is what an error may mean that a socket refuses to send with.
type sendError struct {
	says string
	code diagnose.Code // the likeliest, where nothing else is known
	icmp bool          // an ICMP error about an earlier datagram becomes it, too
}

var sendErrors = map[syscall.Errno]sendError{
	syscall.ENETUNREACH:   {"no route to it", diagnose.EndpointNotRouted, true},
	syscall.EHOSTUNREACH:  {"an unreachable route, or an ICMP error from a host on the path", diagnose.EndpointNotRouted, true},
	syscall.EACCES:        {"a prohibit route, or a broadcast address", diagnose.EndpointNotRouted, true},
	syscall.EINVAL:        {"a blackhole route, or an address that lacks its link", diagnose.EndpointNotRouted, false},
	syscall.EADDRNOTAVAIL: {"no address of this host to send from", diagnose.EndpointNotRouted, false},
	syscall.ENETDOWN:      {"the link is down", diagnose.EndpointNotRouted, false},
	syscall.ENODEV:        {"the link is gone", diagnose.EndpointNotRouted, false},
	syscall.ECONNREFUSED:  {"the port is closed, says an ICMP error", diagnose.EndpointUnreachable, true},
}

var families = map[bool]string{true: "IPv4", false: "IPv6"} // by whether an address is of IPv4

// unsent is the verdict on messages that the kernel refuses to send with an error for which
// no part of it is known. That its routing refuses them is proven by a route alone.
func (f facts) unsent(v diagnose.Verdict) diagnose.Verdict {
	p := f.Peer
	failed, ep := &v.Evidence[0], p.Endpoint.Addr()
	v.Code = diagnose.EndpointNotRouted
	v.Summary = fmt.Sprintf("this host cannot send to the endpoint of %s, %s: %v", p.Label(), p.Endpoint, p.SendErrno)
	route := fix.Check("ip route get %s%s", ep, harmless.Raw(f.markText()))
	v.Fix = fix.Steps{route}
	switch {
	case p.Route.Kind != evidence.RouteUnknown && p.Route.Kind != evidence.RouteFound:
		v.Evidence = append(v.Evidence, evidence.Kernel.Decides("ip route get %s%s: %s", ep, f.markText(), p.Route.Describe()))
		return v
	case p.SendErrno == syscall.EAFNOSUPPORT: // the tunnel's own word: it has no socket of that family
		v.Summary = fmt.Sprintf("this host has no socket for %s: it cannot send to the endpoint of %s, %s", families[ep.Is4()],
			p.Label(), p.Endpoint)
		return v
	}
	failed.Decides = false // it does not say what refuses
	cause, known := sendErrors[p.SendErrno]
	means := "it may be this host's routing, or a program of a control group"
	if known {
		v.Code = cause.code
		means = "such an error means: " + cause.says + "; or a program of a control group chooses it"
	}
	v.Evidence = append(v.Evidence, evidence.Inferred.Decides("%s", means))
	notRouted := diagnose.Maybe(diagnose.EndpointNotRouted, "ip route get %s%s: has it a route, and an address to send from (src)?",
		ep, f.markText())
	if cause.icmp {
		v.Candidates = append(v.Candidates, diagnose.Maybe(diagnose.EndpointUnreachable,
			"tcpdump -ni any icmp or icmp6: does a host on the path report that %s is unreachable?", ep))
		v.Fix = append(v.Fix, fix.Check("tcpdump -ni any icmp or icmp6"))
	}
	if v.Code == diagnose.EndpointNotRouted {
		v.Candidates = append([]diagnose.Candidate{notRouted}, v.Candidates...)
	} else {
		v.Candidates = append(v.Candidates, notRouted)
	}
	v.Candidates = append(v.Candidates,
		diagnose.Maybe(diagnose.BPFDrop, "bpftool cgroup tree: does a program of the sender's control group refuse to send?"))
	v.Fix = append(v.Fix, fix.Check("bpftool cgroup tree"))
	return v
}
