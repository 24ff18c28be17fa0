package diagnose

import "slices"

// Askers are the connections that have asked for something, by the client's port. The
// zero value is none.
type Askers struct{ ports []uint16 }

// askersKept bounds how many connections are remembered; of more than these every one
// may have asked.
const askersKept = 32

// Add remembers a connection.
func (a *Askers) Add(port uint16) {
	if len(a.ports) <= askersKept && !slices.Contains(a.ports, port) {
		a.ports = append(a.ports, port)
	}
}

// Has reports whether a connection may have asked.
func (a *Askers) Has(port uint16) bool {
	return len(a.ports) > askersKept || slices.Contains(a.ports, port)
}

// Reset forgets all.
func (a *Askers) Reset() { a.ports = a.ports[:0] }
