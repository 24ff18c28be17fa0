//go:build !race

package tunneltest

// Race: under the race detector sync.Pool throws away some of what is put into it, and
// with it what the accountant could have read in a dropped packet's buffer.
const Race = false
