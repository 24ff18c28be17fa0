//go:build linux

package netfilter

// StartUnowned is Start as on a kernel that has no owned tables.
func StartUnowned(cfg Config) (*Tracer, error) { return start(cfg, 0) }

// Self looks at this process in /proc, which a host of a lab has not: it has
// processes of its own.
func Self() (string, error) {
	p, err := self()
	return p.String(), err
}
