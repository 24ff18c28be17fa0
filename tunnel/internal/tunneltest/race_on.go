//go:build race

package tunneltest

// Race is described where the race detector is off.
const Race = true
