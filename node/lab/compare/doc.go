// Package compare measures programs that make userspace WireGuard interfaces
// against one another: how much passes through a tunnel between two of the
// same kind, and what it costs the two of them in CPU time.
//
// The tunnel is between two hosts of a [lab.Lab], joined by one cable:
//
//	iperf3 -> wg0 [program] eth0 ------ eth0 [program] wg0 -> iperf3
//
// Both ends share one machine, and the machine has other things to do, so an
// absolute rate says little. What counts is the ratio between two programs in
// the same round: a round gives every program its turn, one after the other,
// with fresh processes. The table shows the median of the rounds' ratios, and
// the least and the greatest, which tell how far to trust it.
//
// It is run by hand, or by make:
//
//	go test -tags bench -run Compare -timeout 30m -v ./node/lab/compare \
//		-entry 'wireguard-go' -entry 'wgnode=/tmp/wgnode device -f {}' -rounds 5
//
// What `wgnode drops` costs other traffic, and what a flood of dropped packets costs it:
//
//	go test -tags bench -run TestDropsCost -timeout 30m -v ./node/lab/compare -rounds 6 -seconds 2
//
// What it costs to trace 1% of flows:
//
//	go test -tags bench -run TestTelemetryCost -timeout 30m -v ./node/lab/compare -rounds 6 -seconds 2
package compare
