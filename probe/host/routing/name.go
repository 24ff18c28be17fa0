package routing

import (
	"fmt"
	"net"
)

// LinkName returns the name of the link with that index, "" for 0, which stands for
// none. One that is gone has the name "link N".
func LinkName(index uint32) string {
	if index == 0 {
		return ""
	}
	i, err := net.InterfaceByIndex(int(index))
	if err != nil {
		return fmt.Sprintf("link %d", index)
	}
	return i.Name
}

// LinkNames are the names of all links, nil if they cannot be listed.
func LinkNames() []string {
	all, err := net.Interfaces()
	if err != nil {
		return nil
	}
	names := make([]string, len(all))
	for i := range all {
		names[i] = all[i].Name
	}
	return names
}

// LinkIndex is the index of the link of that name, 0 if there is none.
func LinkIndex(name string) uint32 {
	i, err := net.InterfaceByName(name)
	if err != nil {
		return 0
	}
	return uint32(i.Index)
}
