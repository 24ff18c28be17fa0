package rules

import (
	"github.com/wgnode/wgnode/probe/evidence"
	"github.com/wgnode/wgnode/probe/fix"
)

// This file judges by what the kernel counts of packets that it drops without a word.

// blocks says what of IPsec keeps the packets of a segment from going on, and how to mend
// that; nothing if nothing is known to. A counter alone proves nothing: what it has counted
// may be other packets. It confirms that the default refuses these, which no policy
// selects, if it has counted exactly as many.
func (f facts) blocks(p *evidence.Traversal) (why []evidence.Line, mend fix.Steps) {
	for _, b := range p.XfrmBlocks {
		why = append(why, evidence.Kernel.Decides("%s", b.Text))
		mend = append(mend, fix.Commands(b.Fix)...)
	}
	if len(why) == 0 || f.Kernel == nil {
		return why, mend
	}
	for _, c := range f.Kernel.Counters {
		if c.Name == "XfrmInNoPols" && c.Counted() == uint64(p.Packets) {
			why = append(why, evidence.Kernel.Says("the kernel counted as many as were followed: %s", c.String()))
		}
	}
	return why, mend
}

// counted is what the kernel counted meanwhile, for a verdict that is not certain.
func (f facts) counted() []evidence.Line {
	var lines []evidence.Line
	for _, c := range f.Kernel.Counters {
		lines = append(lines, evidence.Kernel.Says("the kernel counted meanwhile, of all packets: %s", c.String()))
	}
	return lines
}
