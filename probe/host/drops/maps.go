//go:build linux

package drops

import "github.com/cilium/ebpf"

// The maps of the program.
const (
	mapReports = "reports" // ring buffer of records
	mapPlaces  = "places"  // per processor: by reason and place how many, and how many were reported
	mapLost    = "lost"    // per processor: records that found no room

	mapAddresses = "addresses" // of a tunnel: classes by prefix
)

// placeLen is the length of a value of mapPlaces: how many were dropped, reported since a
// time, that time, and how many reported in all.
const placeLen = 4 * 8

// collection is the program with its maps.
func collection(l *layout, opt Options) (*ebpf.CollectionSpec, error) {
	code, err := program(l, opt)
	if err != nil {
		return nil, err
	}
	spec := &ebpf.CollectionSpec{
		Maps: map[string]*ebpf.MapSpec{
			mapReports: {Name: mapReports, Type: ebpf.RingBuf, MaxEntries: reportsLen},
			mapPlaces:  {Name: mapPlaces, Type: ebpf.LRUCPUHash, KeySize: 24, ValueSize: placeLen, MaxEntries: 1024},
			mapLost:    {Name: mapLost, Type: ebpf.PerCPUArray, KeySize: 4, ValueSize: 8, MaxEntries: 1},
		},
		Programs: map[string]*ebpf.ProgramSpec{
			"kfree_skb": {Name: "wgnode_drops", Type: ebpf.Tracing, AttachType: ebpf.AttachTraceRawTp, AttachTo: "kfree_skb",
				License: "Dual MIT/GPL", Instructions: code},
		},
	}
	if opt.Tunnel != nil {
		spec.Maps[mapAddresses] = addressMap()
	}
	return spec, nil
}
