package config

import (
	"bytes"
	"reflect"
	"slices"
)

// Same reports whether two configurations say the same, in whatever order and format, of the
// same interface. What is kept in other places is compared by where it is kept.
func (c *Config) Same(other *Config) bool {
	text := func(c *Config) ([]byte, error) {
		var b bytes.Buffer
		err := c.inOrder().WriteTOML(&b)
		return b.Bytes(), err
	}
	a, aerr := text(c)
	b, berr := text(other)
	if aerr != nil || berr != nil { // what TOML cannot say
		return c.Name == other.Name && reflect.DeepEqual(c.Interface, other.Interface) && reflect.DeepEqual(c.Peers, other.Peers) &&
			reflect.DeepEqual(c.Services, other.Services) && c.Telemetry.Same(other.Telemetry)
	}
	return bytes.Equal(a, b) && slices.EqualFunc(c.shared(), other.shared(), func(p, q Peer) bool {
		return p.PublicKey == q.PublicKey && p.Name == q.Name && p.Endpoint == q.Endpoint
	})
}

// shared are the peers that come from another file, in order of their keys. Of what else
// they say the device knows.
func (c *Config) shared() []Peer {
	return slices.DeleteFunc(c.inOrder().Peers, func(p Peer) bool { return !p.Shared })
}
