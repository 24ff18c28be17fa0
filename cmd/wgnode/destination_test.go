package main

import (
	"slices"
	"strings"
	"testing"
)

// TestInOrder: lo is an interface of every host.
func TestInOrder(t *testing.T) {
	for _, test := range []struct{ args, node, dest string }{
		{args: "10.0.0.2", dest: "10.0.0.2"},
		{args: "lo", dest: "lo"},
		{args: "lo 10.0.0.2:80", node: "lo", dest: "10.0.0.2:80"},
		{args: "10.0.0.2:80 lo", node: "lo", dest: "10.0.0.2:80"},
		{args: "[fd0a::2]:80 lo", node: "lo", dest: "[fd0a::2]:80"},
		{args: "fd0a::2 wg9", node: "wg9", dest: "fd0a::2"}, // wg9 does not run: that is the error
		{args: "web lo", node: "lo", dest: "web"},
		{args: "web:80 lo", node: "lo", dest: "web:80"},
		{args: "lo web:80", node: "lo", dest: "web:80"},
		{args: "lo lo", node: "lo", dest: "lo"},
		{args: "wg9 web", node: "wg9", dest: "web"},
	} {
		nodes, dest := inOrder(strings.Fields(test.args))
		want := strings.Fields(test.node)
		if !slices.Equal(nodes, want) || dest != test.dest {
			t.Errorf("%s: %q and %q, want %q and %q", test.args, nodes, dest, want, test.dest)
		}
	}
}
