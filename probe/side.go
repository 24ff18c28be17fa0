package probe

// Side is the end of the tunnel that a flow is looked at from: the host at [SideA]
// sent the flow's first inner packet. The zero Side means that it is not known.
type Side string

// The sides.
const (
	SideA Side = "A"
	SideB Side = "B"
)
