package control

import (
	"bufio"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"

	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/recording"
)

// What a node sends for as long as it is asked to comes as frames: a byte that says
// what it is, the length of the content as a little-endian uint32, the content.
const (
	frameMeta         = 'M' // recording.Meta as JSON; the first of a recording
	frameWatch        = 'W' // watchHead as JSON; the first of a watch
	framePeer         = 'P' // recording.Peer as JSON, before the first event of one that is new
	frameSecrets      = 'K' // lines of a key log
	frameEvent        = 'E' // an event, and what was kept of its packet
	frameDrop         = 'D' // a packet that the kernel has dropped, as recording.AppendDrop has it; for clients that know it
	frameLoss         = 'L' // recording.Loss as JSON: all that was lost by now; also the last
	frameObservations = 'T' // evidence.Observations as JSON, at the end
	frameIdle         = 'F' // there is nothing more at the moment

	frameHead = 5
	maxFrame  = 64 << 20

	framesType = "application/octet-stream" // their media type
)

// errFrame: what a node sent is not what was asked for.
var errFrame = errors.New("the node's answer is not understood")

// errOldClient is for a program of the first release: it wants a watch in lines of text,
// and reads recordings of format 1 only.
var errOldClient = errors.New("this program is older than the node: use the release that the node runs")

// checkFrames reports in an error that a request is from a client that does not know the
// frames of this release. One that knows them says which version it reads.
func checkFrames(q url.Values) error {
	if q.Get("frames") == "" {
		return errOldClient
	}
	return nil
}

// lastLoss is the content of the last frameLoss of a recording.
type lastLoss struct {
	recording.Loss
	// Ended is when the recording ended, in nanoseconds since 1970: what happened later is not in
	// it. 0: the node is older.
	Ended int64 `json:"ended,omitempty"`
}

// frameWriter sends frames to a client, in portions as large as is sensible.
type frameWriter struct {
	w     io.Writer
	flush func() error
	buf   []byte
}

func newFrameWriter(w http.ResponseWriter) frameWriter {
	w.Header().Set("Content-Type", framesType)
	return frameWriter{w: w, flush: http.NewResponseController(w).Flush}
}

func (f *frameWriter) json(kind byte, v any) error {
	text, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("send frame %c: %w", kind, err)
	}
	return f.frame(kind, text)
}

func (f *frameWriter) frame(kind byte, content []byte) error {
	at := f.begin(kind)
	f.buf = append(f.buf, content...)
	return f.end(at)
}

// begin begins a frame, whose content is then appended to buf. end wants to know
// where it is.
func (f *frameWriter) begin(kind byte) (at int) {
	at = len(f.buf)
	f.buf = append(f.buf, kind, 0, 0, 0, 0)
	return at
}

// end ends a frame, and hands on what has been collected if that is much.
func (f *frameWriter) end(at int) error {
	binary.LittleEndian.PutUint32(f.buf[at+1:], uint32(len(f.buf)-at-frameHead))
	if len(f.buf) < 128<<10 {
		return nil
	}
	return f.send()
}

func (f *frameWriter) send() error {
	_, err := f.w.Write(f.buf)
	f.buf = f.buf[:0]
	if err != nil {
		return fmt.Errorf("send frames: %w", err)
	}
	return nil
}

// idle hands all on.
func (f *frameWriter) idle() error {
	f.buf = append(f.buf, frameIdle, 0, 0, 0, 0)
	if err := f.send(); err != nil {
		return err
	}
	if err := f.flush(); err != nil {
		return fmt.Errorf("send frames: %w", err)
	}
	return nil
}

// readFrames calls take for each frame until the end of in, which is an error as all
// of io.ReadFull are, or until take returns one. body is valid during the call.
func readFrames(in io.Reader, take func(kind byte, body []byte) error) error {
	r := bufio.NewReaderSize(in, 256<<10)
	var body []byte
	for {
		var head [frameHead]byte
		if _, err := io.ReadFull(r, head[:]); err != nil {
			return err
		}
		length := binary.LittleEndian.Uint32(head[1:])
		if length > maxFrame { // as an int it may be negative, where that has 32 bits
			return fmt.Errorf("%w: %d bytes", errFrame, length)
		}
		n := int(length)
		if cap(body) < n {
			body = make([]byte, n)
		}
		body = body[:n]
		if _, err := io.ReadFull(r, body); err != nil {
			return err
		}
		if err := take(head[0], body); err != nil {
			return err
		}
	}
}

// frameJSON reads the content of a frame that is JSON.
func frameJSON(body []byte, into any) error {
	if err := json.Unmarshal(body, into); err != nil {
		return errors.Join(errFrame, err)
	}
	return nil
}

// readEvent reads the content of a frameEvent: the event, and what was kept of its
// packet, nil for nothing.
func readEvent(e *probe.Event, body []byte) (captured []byte, err error) {
	if len(body) < probe.EventSize {
		return nil, errFrame
	}
	e.SetBinary((*[probe.EventSize]byte)(body))
	if len(body) > probe.EventSize {
		captured = body[probe.EventSize:]
	}
	return captured, nil
}
