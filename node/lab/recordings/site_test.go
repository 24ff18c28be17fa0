//go:build linux

package recordings

import (
	"testing"

	"github.com/wgnode/wgnode/node/lab"
	"github.com/wgnode/wgnode/node/lab/sitetest"
)

// site is the site that these tests break, ask and compare.
type site struct{ *sitetest.Site }

func newSite(t *testing.T, v6 bool) *site { return &site{sitetest.New(t, v6)} }

func hostA(s *site) *lab.Host { return s.A }
func hostR(s *site) *lab.Host { return s.R }
func hostH(s *site) *lab.Host { return s.H }

func TestMain(m *testing.M) { sitetest.Main(m) }
