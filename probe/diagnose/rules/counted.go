package rules

import (
	"github.com/wgnode/wgnode/probe/evidence"
	"github.com/wgnode/wgnode/probe/fix"
)

// This file judges by what the kernel counts of packets that it drops without a word.

// blocks says what of IPsec keeps the packets of a segment from going on, and how to mend
// that; nothing if nothing is known to. Where no policy selects them only the default can
// refuse them, and then one counter has counted at least as many packets as were followed.
// It is evidence if it has counted exactly as many: it would have counted others', too.
// What else is counted of IPsec is about packets that a policy selects, not about these.
func (f facts) blocks(p *evidence.Traversal) (why []evidence.Line, mend fix.Steps) {
	for _, b := range p.XfrmBlocks {
		why = append(why, evidence.Kernel.Decides("%s", b.Text))
		mend = append(mend, fix.Commands(b.Fix)...)
	}
	if len(why) > 0 || f.Kernel == nil {
		return why, mend
	}
	for _, c := range f.Kernel.Counters {
		if c.Name != noPolicies || c.Counted() != uint64(p.Packets) {
			continue
		}
		direction := "in"
		if p.Lost != "" { // before they were forwarded
			direction = "fwd"
		}
		why = append(why, evidence.Kernel.Decides("the kernel counted as many as were followed: %s", c.String()),
			evidence.Kernel.Says("no policy of IPsec matches them, and the default is to block"))
		mend = append(mend, fix.Command("ip xfrm policy setdefault %s accept", direction))
	}
	return why, mend
}

// noPolicies counts packets that no policy of IPsec matches, where the default is to block.
const noPolicies = "XfrmInNoPols"

// counted is what the kernel counted meanwhile, for a verdict that is not certain.
func (f facts) counted() []evidence.Line {
	var lines []evidence.Line
	for _, c := range f.Kernel.Counters {
		lines = append(lines, evidence.Kernel.Says("the kernel counted meanwhile, of all packets: %s", c.String()))
	}
	return lines
}
