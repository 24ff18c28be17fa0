//go:build !race

package udp

// raceEnabled: the race detector makes pools lossy, so that nothing can be
// said about allocations.
const raceEnabled = false
