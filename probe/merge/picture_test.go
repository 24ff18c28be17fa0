package merge_test

import (
	"strings"
	"testing"

	"github.com/wgnode/wgnode/probe/merge"
	"github.com/wgnode/wgnode/probe/render"
)

// The picture has a column for each host, a cross for each lost message that it
// shows, and says how many messages it does not.
func TestPicture(t *testing.T) {
	const maxDrawn = 60
	r := merge.MergeLossy(t, "a", "b <&>")
	svg := string(render.MergedSVG(r))
	if n := strings.Count(svg, `class="cross"`); n != 5 || len(r.Lost) != 5 {
		t.Errorf("%d crosses for %d lost messages", n, len(r.Lost))
	}
	if n := strings.Count(svg, `class="way"`) - 5; n > maxDrawn { // the legend has five
		t.Errorf("%d arrows", n)
	}
	for _, want := range []string{"b &lt;&amp;&gt;", "A2 initiation", ", overtaken", " further messages are not drawn", "healthy: "} {
		if !strings.Contains(svg, want) {
			t.Errorf("%q is not in the picture", want)
		}
	}
}
