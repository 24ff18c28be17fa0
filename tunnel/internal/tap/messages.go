package tap

import (
	"sync"

	"github.com/wgnode/wgnode/probe"
)

// messagesKept is how many handshake messages are kept, always: they are rare, and a
// session cannot be decrypted without them.
const messagesKept = 512

// messages keeps the latest handshake messages.
type messages struct {
	mu   sync.Mutex
	kept [messagesKept]keptMessage
	next int
}

type keptMessage struct {
	seq  uint64
	size uint8
	text [probe.LenInitiation]byte
}

// Message records the event of a handshake message, and keeps the message.
func (s *Set) Message(e *probe.Event, msg []byte) (seq uint64) {
	m := &s.messages
	m.mu.Lock() // until it is kept: a reader of the event may ask at once
	defer m.mu.Unlock()
	seq = s.rec.Record(probe.LaneControl, e)
	k := &m.kept[m.next]
	m.next = (m.next + 1) % messagesKept
	k.seq, k.size = seq, uint8(copy(k.text[:], msg))
	return seq
}

func (m *messages) content(dst []byte, seq uint64) ([]byte, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for i := range m.kept {
		if k := &m.kept[i]; k.seq == seq && seq != 0 {
			return append(dst, k.text[:k.size]...), true
		}
	}
	return dst, false
}
