package render

import (
	"fmt"
	"time"

	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/merge"
)

// dropsShown bounds how many lines say what kernels have dropped; JSON has all.
const dropsShown = 40

// droppedAlike are packets of one flow, or kind of message, that a kernel has dropped for one reason.
type droppedAlike struct {
	by    merge.ByKernel
	what  string
	first time.Time
	n     int
}

// kernelDrops says what the hosts' kernels have dropped, when that began, and of what.
func (t *text) kernelDrops(r *merge.Result) {
	type key struct {
		by   merge.ByKernel
		what string
	}
	at := make(map[key]int)
	var all []droppedAlike
	for i := range r.KernelDrops {
		d := &r.KernelDrops[i]
		k := key{d.ByKernel, droppedWhat(d)}
		j, known := at[k]
		if !known {
			j = len(all)
			at[k] = j
			all = append(all, droppedAlike{by: k.by, what: k.what, first: d.Time})
		}
		all[j].n++
	}
	t.section("Dropped by the hosts' kernels", len(all), 0)
	for i := range all {
		if i == dropsShown {
			t.item(2, "-", fmt.Sprintf("and %d more kinds", len(all)-dropsShown))
			break
		}
		d := &all[i]
		t.item(2, "-", fmt.Sprintf("%s %s of %s %s", t.opt.AppendClock(nil, d.first), probe.Count(d.n, "packet"), d.what, d.by.String()))
	}
	if r.KernelDropsLeftOut > 0 {
		t.item(2, "-", fmt.Sprintf("and %s more that are not named", probe.Count(r.KernelDropsLeftOut, "packet")))
	}
}

// droppedWhat says what a dropped packet is of.
func droppedWhat(d *merge.Dropped) string {
	what := "a flow that is not known"
	if d.Kind != "" {
		what = "encrypted " + d.Kind
		if d.Leg != "" {
			what = d.Leg + " " + d.Kind
		}
		if d.From != "" {
			what += " from " + d.From + " to " + d.To
		}
	}
	if d.Target.IsValid() {
		flow := fmt.Sprintf("%s to %s", d.Client, probe.TargetText(d.Target))
		if d.Kind == "" {
			return flow
		}
		return what + ", " + flow
	}
	return what
}
