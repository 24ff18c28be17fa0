// Package link looks up, brings up and deletes network interfaces: what
// `ip link` does, over rtnetlink(7).
//
// A [Link] is a name together with the index that it had when it was looked
// up. The index is what functions act on: names are reused, indices within one
// network namespace are not, so that an operation on a Link whose interface is
// gone fails instead of hitting a stranger of the same name.
//
// All functions work in the network namespace of the calling thread and may be
// called from many goroutines.
package link

import "errors"

// ErrNotFound is wrapped by errors about an interface that is not there.
var ErrNotFound = errors.New("no such network interface")

// Link is one network interface.
type Link struct {
	Name  string
	Index int
	MTU   int  // bytes, when it was looked up
	Up    bool // then, as an administrator wants it; whether it carries packets is another matter
}
