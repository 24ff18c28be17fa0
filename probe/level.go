package probe

// Level says how much is known of a tunnel's packets, and so how much can be certain. Its
// words are public: JSON and recordings have them.
type Level string

// The levels, from the one that says most.
const (
	// LevelDevice is that of wgnode's own device: every packet at each seam, and what
	// became of it.
	LevelDevice Level = "device"
	// LevelExact is of the kernel's WireGuard, watched in its own functions: which packet
	// is in which message, whose it is, and what was refused.
	LevelExact Level = "exact"
	// LevelHalf is of the kernel's WireGuard, watched where it meets the rest of the
	// kernel: which packet was in a message that was received, not which is in one that
	// is sent.
	LevelHalf Level = "half"
	// LevelCapture is of copies of the packets inside of the tunnel and of the messages
	// outside of it: not which is in which.
	LevelCapture Level = "capture"
)

// Meaning says for people what the level is, and what it cannot tell; "" for that of wgnode's
// own device, which tells all, and for one that this release does not know.
func (l Level) Meaning() string {
	switch l {
	case LevelExact:
		return "the kernel's WireGuard, watched in its own functions: what it discards while it waits for a handshake is not shown"
	case LevelHalf:
		return "copies of the messages of the kernel's WireGuard, and the packets that came out of them: which packet is in a message " +
			"that is sent is not shown, nor what the kernel refuses"
	case LevelCapture:
		return "copies of the packets and messages of the kernel's WireGuard: which packet is in which message is not shown, " +
			"nor what the kernel refuses"
	}
	return ""
}

// Kernel reports whether it is a level of the kernel's WireGuard, which alone decides when it
// begins a handshake.
func (l Level) Kernel() bool { return l == LevelExact || l.Copies() }

// Copies reports whether messages are known by copies alone: what came in is not known to be
// authentic, nor to have been accepted, and not what is in a message that is sent.
func (l Level) Copies() bool { return l == LevelHalf || l == LevelCapture }
