//go:build linux

package faults

import (
	"net"
	"testing"

	"github.com/wgnode/wgnode/node/lab/sitetest"
)

// site is the site that these tests break, ask and compare.
type site struct {
	*sitetest.Site
	service *net.TCPListener // on H, where the case has one whose socket it needs
}

func newSite(t *testing.T, v6 bool) *site { return &site{Site: sitetest.New(t, v6)} }

func TestMain(m *testing.M) { sitetest.Main(m) }
