package services

import (
	"io"
	"slices"
	"strings"

	"github.com/wgnode/wgnode/node/config"
	"github.com/wgnode/wgnode/node/internal/say"
)

// Pending says on out which services would end and begin if they were made those of cfg.
func (s *Services) Pending(cfg *config.Config, out io.Writer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	want := wantedOf(cfg.Services.Join(s.of.Extra))
	for _, one := range s.open {
		if i := slices.IndexFunc(want, one.want.same); i >= 0 {
			want = slices.Delete(want, i, i+1)
		} else if one.at != "" {
			say.Line(out, "[#] no %s", one.at)
		}
	}
	for _, w := range want {
		if w.listen != "" || w.kind != peerRouting {
			say.Line(out, "[#] %s", strings.TrimSpace(w.kind+" at "+w.listen))
		}
	}
}
