package recording

import (
	"bytes"
	"encoding/binary"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// The comments of packets say what they said in every release: people have display filters
// that look for their words.
func TestComments(t *testing.T) {
	for _, name := range []string{"client", "server", "everything"} {
		r, packets := golden(t, "v1", name)
		c := newCommenter(r.Meta())
		var got []string
		for i := range packets {
			p := &packets[i]
			got = append(got, string(c.append(nil, &p.Event, p.Interface, p.Made)))
		}
		if diff := cmp.Diff(commentsIn(t, goldenFile(t, "v1", name+".pcapng")), got); diff != "" {
			t.Errorf("%s:\n%s", name, diff)
		}
	}
}

// commentsIn lists the comments of the packets in a file that are events.
func commentsIn(t *testing.T, file []byte) (comments []string) {
	t.Helper()
	r := &Reader{order: binary.LittleEndian}
	for len(file) > 0 {
		size := binary.LittleEndian.Uint32(file[4:])
		block := file[8 : size-4]
		if binary.LittleEndian.Uint32(file) == blockPacket {
			captured := binary.LittleEndian.Uint32(block[12:])
			var comment string
			isEvent := false
			if err := r.options(block[packetFixed+(captured+3)&^3:], func(code uint16, value []byte) error {
				switch code {
				case optComment:
					comment = string(value)
				case optCustom:
					c, ok := parseCustom(r.order, value)
					isEvent = isEvent || ok && c.kind == kindEvent
				}
				return nil
			}); err != nil {
				t.Fatal(err)
			}
			if isEvent {
				comments = append(comments, comment)
			}
		}
		file = file[size:]
	}
	return comments
}

// A comment is one line, whatever the name of a peer is.
func TestCommentIsOneLine(t *testing.T) {
	m := testMeta()
	m.Peers[0].Name = "a\nlice\x1b[2J"
	events, _ := session()
	for i := range events {
		text := newCommenter(m).append(nil, &events[i], interfaceOf(&events[i]), true)
		if bytes.ContainsAny(text, "\n\x1b") || !bytes.Contains(text, []byte("lice")) {
			t.Errorf("%q", text)
		}
	}
}
