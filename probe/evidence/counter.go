package evidence

import "fmt"

// Counter is one that the kernel keeps of packets which it did not let pass, in this
// host's network namespace: of all packets, not only of those that were followed.
type Counter struct {
	Name   string `json:"name"`   // as nstat(8) has it: "XfrmInNoPols", "UdpRcvbufErrors"
	Before uint64 `json:"before"` // when watching began
	After  uint64 `json:"after"`
}

// Counted is how many packets were counted while it was watched.
func (c Counter) Counted() uint64 { return c.After - c.Before }

// String is for evidence: "XfrmInNoPols: 2 (from 5 to 7)".
func (c Counter) String() string {
	return fmt.Sprintf("%s: %d (from %d to %d)", c.Name, c.Counted(), c.Before, c.After)
}
