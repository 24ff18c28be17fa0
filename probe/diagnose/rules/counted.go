package rules

import (
	"strings"

	"github.com/wgnode/wgnode/probe/evidence"
	"github.com/wgnode/wgnode/probe/fix"
)

// This file judges by what the kernel counts of packets that it drops without a word.

// blocks says what of IPsec keeps the packets of a segment from going on, and how to mend
// that; nothing if nothing is known to. Where no policy is, a counter is evidence that has
// counted exactly as many packets as were followed: others could be of other packets.
func (f facts) blocks(p *evidence.Traversal) (why []evidence.Line, mend fix.Steps) {
	for _, b := range p.XfrmBlocks {
		why = append(why, evidence.Kernel.Decides("%s", b.Text))
		mend = append(mend, fix.Commands(b.Fix)...)
	}
	if len(why) > 0 || f.Kernel == nil {
		return why, mend
	}
	for _, c := range f.Kernel.Counters {
		if strings.HasPrefix(c.Name, "XfrmIn") && c.Counted() == uint64(p.Packets) {
			why = append(why, evidence.Kernel.Decides("the kernel counted as many as were followed: %s", c.String()))
			mend = append(mend, mendCounted(c, p)...)
		}
	}
	return why, mend
}

func mendCounted(c evidence.Counter, p *evidence.Traversal) fix.Steps {
	if c.Name != "XfrmInNoPols" {
		return fix.Steps{fix.Check("ip xfrm policy"), fix.Check("ip xfrm state")}
	}
	direction := "in"
	if p.Lost != "" { // before it was forwarded
		direction = "fwd"
	}
	return fix.Steps{fix.Note("no policy of IPsec matches them, and the default is to block:"),
		fix.Command("ip xfrm policy setdefault %s accept", direction)}
}

// counted is what the kernel counted meanwhile, for a verdict that is not certain.
func (f facts) counted() []evidence.Line {
	var lines []evidence.Line
	for _, c := range f.Kernel.Counters {
		lines = append(lines, evidence.Kernel.Says("the kernel counted meanwhile, of all packets: %s", c.String()))
	}
	return lines
}
