//go:build linux

package system

import (
	"testing"

	"github.com/wgnode/wgnode/node/lab/sitetest"
)

// site is the site that these tests break, ask and compare.
type site struct{ *sitetest.Site }

func newSite(t *testing.T, v6 bool) *site { return &site{sitetest.New(t, v6)} }

func TestMain(m *testing.M) { sitetest.Main(m) }
