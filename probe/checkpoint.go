package probe

// Checkpoint is one of A1 to A6 and B1 to B8; see the package comment.
type Checkpoint uint8

// The checkpoints, of each side in the order in which a flow's first packet and its
// reply pass them. CheckpointNone is the checkpoint of an event that
// is at none of them, or (for data just received, still encrypted) not yet known.
const (
	CheckpointNone Checkpoint = 0

	A1 Checkpoint = 1
	A2 Checkpoint = 2
	A3 Checkpoint = 3
	A4 Checkpoint = 4
	A5 Checkpoint = 5
	A6 Checkpoint = 6

	B1 Checkpoint = 7
	B2 Checkpoint = 8
	B3 Checkpoint = 9
	B4 Checkpoint = 10
	B5 Checkpoint = 11
	B6 Checkpoint = 12
	B7 Checkpoint = 13
	B8 Checkpoint = 14
)

// NumCheckpoints is the number of checkpoints, CheckpointNone included: the length of
// an array that is indexed by them.
const NumCheckpoints = len(checkpoints)

// checkpoints is the table of checkpoints. Its order is that in which a packet, and then
// its reply, passes those of both sides.
var checkpoints = [...]struct {
	name      string
	side      Side
	seam      Seam
	order     int
	handshake bool
	text      string
}{
	CheckpointNone: {},

	A1: {name: "A1", side: SideA, seam: SeamTUNRead, order: 1, text: "packet enters the tunnel"},
	A2: {name: "A2", side: SideA, seam: SeamUDPSend, order: 2, handshake: true, text: "handshake initiation sent"},
	B1: {name: "B1", side: SideB, seam: SeamUDPReceive, order: 3, handshake: true, text: "handshake initiation received"},
	B2: {name: "B2", side: SideB, seam: SeamUDPSend, order: 4, handshake: true, text: "handshake response sent"},
	A3: {name: "A3", side: SideA, seam: SeamUDPReceive, order: 5, handshake: true, text: "handshake response received"},
	A4: {name: "A4", side: SideA, seam: SeamUDPSend, order: 6, text: "encrypted data sent"},
	B3: {name: "B3", side: SideB, seam: SeamUDPReceive, order: 7, text: "encrypted data received"},
	B4: {name: "B4", side: SideB, seam: SeamTUNWrite, order: 8, text: "packet leaves the tunnel"},
	B5: {name: "B5", side: SideB, seam: SeamForward, order: 9, text: "packet is forwarded"},
	B6: {name: "B6", side: SideB, seam: SeamForward, order: 10, text: "reply comes back"},
	B7: {name: "B7", side: SideB, seam: SeamTUNRead, order: 11, text: "reply enters the tunnel"},
	B8: {name: "B8", side: SideB, seam: SeamUDPSend, order: 12, text: "encrypted reply sent"},
	A5: {name: "A5", side: SideA, seam: SeamUDPReceive, order: 13, text: "encrypted reply received"},
	A6: {name: "A6", side: SideA, seam: SeamTUNWrite, order: 14, text: "reply leaves the tunnel"},
}

// Checkpoints returns those of a side, in order; those of both for the zero Side. The
// slice must not be changed.
func Checkpoints(s Side) []Checkpoint { return bySide[s] }

var bySide = func() map[Side][]Checkpoint {
	lists := make(map[Side][]Checkpoint)
	for c := CheckpointNone + 1; int(c) < NumCheckpoints; c++ {
		side := checkpoints[c].side
		lists[""], lists[side] = append(lists[""], c), append(lists[side], c)
	}
	return lists
}()

func (c Checkpoint) String() string { return nameOf(checkpointNames, uint8(c)) }

// Side is the side that a checkpoint belongs to, "" for CheckpointNone.
func (c Checkpoint) Side() Side { return checkpoints[c.known()].side }

// Seam is where a checkpoint is. Of B5 and B6 it is [SeamForward], although only a node
// without an interface has that.
func (c Checkpoint) Seam() Seam { return checkpoints[c.known()].seam }

// OfFlow reports whether it is the packets of a flow that pass a checkpoint, and at a seam
// of the tunnel: not messages of a handshake, and not between the tunnel and another link.
func (c Checkpoint) OfFlow() bool {
	at := &checkpoints[c.known()]
	return !at.handshake && at.seam.Direction() != ""
}

// Order is the place of a checkpoint among those of both sides, in the order in which a
// packet and its reply pass them: 1 for A1, 0 for CheckpointNone.
func (c Checkpoint) Order() int { return checkpoints[c.known()].order }

// Text says what happens at a checkpoint: "packet enters the tunnel".
func (c Checkpoint) Text() string { return checkpoints[c.known()].text }

// known is c, or CheckpointNone in place of one that this release does not know.
func (c Checkpoint) known() Checkpoint {
	if int(c) < NumCheckpoints {
		return c
	}
	return CheckpointNone
}
