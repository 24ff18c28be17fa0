package render

import (
	"github.com/wgnode/wgnode/probe"
)

// dropped words how many packets were dropped for a reason. The reason's own name
// is there for `wgnode watch reason NAME`.
func dropped(n uint64, reason string) string {
	text := probe.Count(n, "packet")
	r, _ := probe.ParseReason(reason)
	if words := r.Meaning(); words != "" {
		return text + " " + words + " (" + reason + ")"
	}
	return text + " (" + reason + ")"
}
