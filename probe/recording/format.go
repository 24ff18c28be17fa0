package recording

import (
	"encoding/binary"
	"errors"
)

// Block types, option codes and sizes (draft-ietf-opsawg-pcapng, section 4).
const (
	blockSection    = 0x0a0d0d0a
	blockInterface  = 1
	blockStatistics = 5
	blockPacket     = 6
	blockSecrets    = 10
	byteOrderMagic  = 0x1a2b3c4d

	optEnd     = 0
	optComment = 1
	optCustom  = 2989

	optSectionOS, optSectionApp       = 3, 4
	optIfName, optIfDescription       = 2, 3
	optIfResolution, optIfFilter      = 9, 11
	optPacketFlags, optPacketDrops    = 2, 4
	optStatsStart, optStatsEnd        = 2, 3
	optStatsReceived, optStatsDropped = 4, 5
	secretsWireGuard                  = 0x57474b4c // "WGKL"
	linkRaw                           = 12         // see the package comment

	blockOverhead  = 12 // type, length, length again
	sectionFixed   = 16
	interfaceFixed = 8
	packetFixed    = 20
	statsFixed     = 12

	maxBlock  = 16 << 20 // Wireshark takes no larger ones
	maxOption = 65535
)

// Format is the version of what the custom options hold, and of the frames by which a
// node sends a recording; see the package comment. Older ones are read too.
const Format = 2

// customHeader is what a custom option begins with; see the package comment.
const (
	customHeader = 20
	pen          = 32473
	magic        = "wgnode"

	kindEvent byte = 'E'
	kindMeta  byte = 'M'
	kindPeer  byte = 'P'
	kindStats byte = 'S'

	kindObservations byte = 'T'
	kindDrop         byte = 'D'

	flagMade byte = 1
)

// ErrForeign: the file is no recording of wgnode's.
var ErrForeign = errors.New("not a recording of wgnode")

// custom is a custom option of wgnode's.
type custom struct {
	kind, flags byte
	id          uint64
	content     []byte
}

// parseCustom reads the value of a custom option, and reports whether it is
// wgnode's.
func parseCustom(order binary.ByteOrder, v []byte) (custom, bool) {
	if len(v) < customHeader || order.Uint32(v) != pen || string(v[4:10]) != magic {
		return custom{}, false
	}
	return custom{v[10], v[11], binary.LittleEndian.Uint64(v[12:]), v[customHeader:]}, true
}

// appendOption appends an option with its padding.
func appendOption(dst []byte, code uint16, value []byte) []byte {
	dst = binary.LittleEndian.AppendUint16(dst, code)
	dst = binary.LittleEndian.AppendUint16(dst, uint16(len(value)))
	dst = append(dst, value...)
	return pad(dst, len(value))
}

// pad fills up with zeros what is n bytes long to a multiple of four.
func pad(dst []byte, n int) []byte {
	return append(dst, "\x00\x00\x00"[:-n&3]...)
}

// appendCustom appends a custom option of wgnode's.
func appendCustom(dst []byte, kind, flags byte, id uint64, content []byte) []byte {
	dst = appendCustomHeader(dst, kind, flags, id, len(content))
	dst = append(dst, content...)
	return pad(dst, customHeader+len(content))
}

// appendCustomHeader is appendCustom up to where the content of n bytes follows,
// and its padding.
func appendCustomHeader(dst []byte, kind, flags byte, id uint64, n int) []byte {
	dst = binary.LittleEndian.AppendUint16(dst, optCustom)
	dst = binary.LittleEndian.AppendUint16(dst, uint16(customHeader+n))
	dst = binary.LittleEndian.AppendUint32(dst, pen)
	dst = append(dst, magic...)
	dst = append(dst, kind, flags)
	return binary.LittleEndian.AppendUint64(dst, id)
}

// beginBlock appends the head of a block, whose length endBlock fills in.
func beginBlock(dst []byte, typ uint32) []byte {
	dst = binary.LittleEndian.AppendUint32(dst, typ)
	return append(dst, 0, 0, 0, 0)
}

// endBlock ends the block that begins dst.
func endBlock(dst []byte) []byte {
	n := uint32(len(dst) + 4)
	binary.LittleEndian.PutUint32(dst[4:], n)
	return binary.LittleEndian.AppendUint32(dst, n)
}

// endOptions ends a list of options.
func endOptions(dst []byte) []byte { return append(dst, 0, 0, 0, 0) }
