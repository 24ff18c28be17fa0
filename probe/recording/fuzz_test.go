package recording

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/eventtext"
	"github.com/wgnode/wgnode/probe/key"
)

// seed is a small recording for fuzzing.
func seed() []byte {
	var out bytes.Buffer
	w, err := NewWriter(&out, testMeta())
	if err != nil {
		panic(err)
	}
	events, captured := session()
	for i := range events {
		_ = w.Event(&events[i], captured[i], uint64(i)) // into memory
	}
	for _, d := range testDrops() {
		_ = w.Drop(&d.event, &d.drop)
	}
	_ = w.addPeer(Peer{ID: 9, Name: "new\x1b[31m", PublicKey: key.Public{9}})
	_ = w.Close(Loss{Events: 6})
	return out.Bytes()
}

// Whatever a file holds, reading it ends, with packets that keep their promises.
func FuzzReader(f *testing.F) {
	whole := seed()
	f.Add(whole)
	f.Add(whole[:len(whole)/2])
	f.Add(append(bytes.Clone(whole), whole...))
	f.Add([]byte("\x0a\x0d\x0d\x0a\x1c\x00\x00\x00\x4d\x3c\x2b\x1a\x01\x00\x00\x00\xff\xff\xff\xff\xff\xff\xff\xff\x1c\x00\x00\x00"))
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := NewReader(bytes.NewReader(b))
		if err != nil {
			return
		}
		opt := eventtext.Options{}
		for {
			p, err := r.Next()
			if err != nil {
				if again, same := r.Next(); again != nil || same != err {
					t.Fatalf("after %v: %v, %v", err, again, same)
				}
				return
			}
			if len(p.Data) > p.Length || p.Interface > Note || p.Interface == Note && p.Data != nil || p.Interface != interfaceOf(&p.Event) {
				t.Fatalf("%+v", p)
			}
			line := eventtext.AppendLine(nil, &p.Event, r.Meta(), &opt)
			line = eventtext.AppendJSON(line, &p.Event, r.Meta())
			if d := p.Drop; d != nil {
				if p.Event.Seam != 0 || p.Event.Checkpoint != 0 || p.Event.Dropped() || d.Reason == "" ||
					max(len(d.Reason), len(d.Place), len(d.Hook), len(d.Device)) > maxDropName || len(d.Packet) > maxDropPacket {
					t.Fatalf("%+v of %+v", d, p.Event)
				}
				line = eventtext.AppendDropLine(line, &p.Event, d.Reason, d.Text(&p.Event), r.Meta(), &opt)
				line = eventtext.AppendDropJSON(line, &p.Event, d.Reason, d.Text(&p.Event), r.Meta())
			}
			if bytes.ContainsAny(line, "\x1b\n\r") {
				t.Fatalf("control characters in %q", line)
			}
		}
	})
}

// Foreign and hostile files give errors that say what is wrong, and take little
// memory.
func TestHostileFiles(t *testing.T) {
	whole := record(t, testMeta(), 0)
	header := int(binary.LittleEndian.Uint32(whole[4:]))
	edit := func(at int, v uint32) []byte {
		b := bytes.Clone(whole)
		binary.LittleEndian.PutUint32(b[at:], v)
		return b
	}
	packet := header // the first packet block
	for binary.LittleEndian.Uint32(whole[packet:]) != blockPacket {
		packet += int(binary.LittleEndian.Uint32(whole[packet+4:]))
	}
	head := []byte{0x4d, 0x3c, 0x2b, 0x1a, 1, 0, 0, 0, 255, 255, 255, 255, 255, 255, 255, 255}
	foreign := endBlock(endOptions(append(beginBlock(nil, blockSection), head...)))
	for _, test := range []struct {
		name string
		file []byte
		want error // nil: any
	}{
		{"nothing", nil, ErrForeign},
		{"text", []byte("[Interface]\nPrivateKey = ..."), ErrForeign},
		{"pcap", []byte("\xd4\xc3\xb2\xa1\x02\x00\x04\x00\x00\x00\x00\x00\x00\x00\x00\x00"), ErrForeign},
		{"pcapng of another program", foreign, ErrForeign},
		{"a block of 4 GiB", edit(header+4, 0xfffffffc), nil},
		{"a block of 16 MiB that is not there", edit(packet+4, maxBlock), io.ErrUnexpectedEOF},
		{"a block of 0 bytes", edit(header+4, 0), nil},
		{"a block of odd length", edit(header+4, 33), nil},
		{"lengths that differ", edit(packet+4, binary.LittleEndian.Uint32(whole[packet+4:])+4), nil},
		{"more captured than there is", edit(packet+20, 1<<31), nil},
		{"more captured than the packet has", edit(packet+20, 1<<16), nil},
		{"version 2", edit(12, 2), nil},
		{"more peers than there can be", describe(`{"format":1,"peers":[` + strings.Repeat("{},", maxPeers) + `{}]}`), nil},
		{"peers that are none", describe(`{"format":1,"peers":7}`), nil},
		{"a description without end", describe(strings.Repeat("[", maxMeta+1)), nil},
		{"a later format", describe(`{"format":3}`), nil},
	} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, packets, err := read(test.file)
		runtime.ReadMemStats(&after)
		if err == nil || err == io.EOF || test.want != nil && !errors.Is(err, test.want) {
			t.Errorf("%s: %d packets, %v", test.name, len(packets), err)
		}
		limit := uint64(2 << 20)
		if len(test.file) > 100_000 { // a description; in all, not at once
			limit = 96 << 20
		}
		if took := after.TotalAlloc - before.TotalAlloc; took > limit {
			t.Errorf("%s: took %d bytes", test.name, took)
		}
	}
}

// describe is a file with that description and nothing else.
func describe(text string) []byte {
	b := beginBlock(nil, blockSection)
	b = append(b, 0x4d, 0x3c, 0x2b, 0x1a, 1, 0, 0, 0, 255, 255, 255, 255, 255, 255, 255, 255)
	for part := range slices.Chunk([]byte(text), 60_000) {
		b = appendCustom(b, kindMeta, 0, 1, part)
	}
	return endBlock(endOptions(b))
}

// A file of the other byte order, as tools on such a machine write it, is read.
func TestOtherByteOrder(t *testing.T) {
	m := []byte(`{"format":1,"id":"5","interface":"wg0","peers":[]}`)
	var e probe.Event
	e.Seam, e.Time = probe.SeamTUNRead, 7
	tag, _ := e.AppendBinary(nil)
	big := binary.BigEndian
	custom := func(kind byte, content []byte) []byte {
		b := big.AppendUint16(nil, optCustom)
		b = big.AppendUint16(b, uint16(customHeader+len(content)))
		b = append(big.AppendUint32(b, pen), magic...)
		b = binary.LittleEndian.AppendUint64(append(b, kind, 0), 5)
		return pad(append(b, content...), len(content))
	}
	block := func(typ uint32, body []byte) []byte {
		n := uint32(len(body) + blockOverhead)
		return big.AppendUint32(append(big.AppendUint32(big.AppendUint32(nil, typ), n), body...), n)
	}
	head := append(big.AppendUint32(nil, byteOrderMagic), 0, 1, 0, 0, 255, 255, 255, 255, 255, 255, 255, 255)
	file := block(blockSection, append(head, custom(kindMeta, m)...))
	body := append(make([]byte, 8), 0, 0, 0, 7, 0, 0, 0, 3, 0, 0, 0, 9, 'a', 'b', 'c', 0)
	body[3] = 1
	file = append(file, block(blockPacket, append(append(body[:4], append(make([]byte, 4), body[8:]...)...), custom(kindEvent, tag)...))...)
	r, packets, err := read(file)
	if err != io.EOF || len(packets) != 1 || packets[0].Event != e || string(packets[0].Data) != "abc" ||
		packets[0].Length != 9 || r.Meta().Interface != "wg0" {
		t.Errorf("%+v, %v", packets, err)
	}
}
