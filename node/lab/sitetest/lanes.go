package sitetest

import (
	"flag"
	"os"
	"strconv"
	"testing"

	"github.com/wgnode/wgnode/probe/patience"
)

// lanes is how many sites there are at a time for each processor. Most of their time goes by
// waiting for what does not come.
const lanes = 7

// Main is a TestMain for tests that have a site each. Unless -parallel says how many run at a
// time, it is as many as the machine bears, and not the number of processors.
func Main(m *testing.M) {
	flag.Parse()
	given := false
	flag.Visit(func(f *flag.Flag) { given = given || f.Name == "test.parallel" })
	if !given {
		if err := flag.Set("test.parallel", strconv.Itoa(patience.Lanes(lanes))); err != nil {
			panic(err) // the number is none
		}
	}
	os.Exit(m.Run())
}
