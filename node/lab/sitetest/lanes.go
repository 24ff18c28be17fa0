package sitetest

import "github.com/wgnode/wgnode/probe/patience"

// Lanes is how many sites there are at a time in tests that have many. Most of
// their time goes by waiting for what does not come.
func Lanes() int { return patience.Lanes(7) }
