package control

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"

	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/eventtext"
	"github.com/wgnode/wgnode/probe/key"
	"github.com/wgnode/wgnode/probe/recording"
)

// Watcher takes what passes a node. An error ends the watch, and [Client.Watch]
// returns it.
type Watcher interface {
	// Begin comes first, once the node serves the watch. longestName is how many
	// characters the longest name of a peer has, at that time.
	Begin(longestName int) error
	// Event takes an event, valid during the call.
	Event(e *probe.Event, names eventtext.Names) error
	// Line takes an event of a node of an earlier release, which has made a line of
	// it already: with its newline, and valid during the call. There is no Begin.
	Line(line []byte) error
	// Flush is called whenever there is nothing more at the moment.
	Flush() error
}

// watchNames resolves the peers of events, as they are called when an event comes.
type watchNames map[probe.PeerID]watchPeer

// watchPeer is what a watch says of a peer: some of the keys of recording.Peer.
type watchPeer struct {
	ID        probe.PeerID `json:"id"`
	PublicKey key.Public   `json:"public_key"`
	Name      string       `json:"name,omitempty"`
}

// Peer implements eventtext.Names.
func (n watchNames) Peer(id probe.PeerID) (k key.Public, name string, ok bool) {
	p, ok := n[id]
	return p.PublicKey, p.Name, ok
}

// Watch hands on each event that passes until ctx ends, which is no error, the node
// goes down ([ErrEnded]), or into returns an error. It returns how many events the
// node could not deliver because they came faster than into took them.
func (c *Client) Watch(ctx context.Context, req WatchRequest, into Watcher) (lost uint64, err error) {
	f := &watchFrames{into: into, names: make(watchNames)}
	err = c.follow(ctx, "watch?"+req.query().Encode(), func(res *http.Response) error {
		if res.Header.Get("Content-Type") == framesType {
			return readFrames(res.Body, f.take)
		}
		return f.lines(res.Body)
	})
	return f.lost.Events, err
}

// watchFrames hands the frames of a watch to what takes them.
type watchFrames struct {
	into  Watcher
	names watchNames
	lost  recording.Loss
	event probe.Event
	begun bool
}

func (f *watchFrames) take(kind byte, body []byte) error {
	if kind == frameWatch {
		return f.begin(body)
	}
	if !f.begun {
		return errFrame
	}
	switch kind {
	case frameEvent:
		if _, err := readEvent(&f.event, body); err != nil {
			return err
		}
		return out(f.into.Event(&f.event, f.names))
	case framePeer:
		var p watchPeer
		if err := frameJSON(body, &p); err != nil {
			return err
		}
		f.names[p.ID] = p
	case frameLoss:
		return frameJSON(body, &f.lost)
	case frameIdle:
		return out(f.into.Flush())
	default:
		return errFrame
	}
	return nil
}

func (f *watchFrames) begin(body []byte) error {
	var head watchHead
	if f.begun {
		return errFrame
	}
	if err := frameJSON(body, &head); err != nil {
		return err
	}
	if head.Version != watchVersion {
		return fmt.Errorf("%w: it is of version %d, and this program reads %d", errFrame, head.Version, watchVersion)
	}
	f.begun = true
	return out(f.into.Begin(head.LongestName))
}

// lostMark begins the lines of version 1 that are no events: "#lost N" says how many
// events were lost by then. No event's line, of text or JSON, begins so.
const lostMark = "#lost "

// lines hands on the lines of version 1. It takes all that is there to be read before
// it waits for more.
func (f *watchFrames) lines(in io.Reader) error {
	r := bufio.NewReaderSize(in, streamBuffer)
	for {
		line, err := r.ReadSlice('\n') // valid until the next read
		if err != nil {
			return errors.Join(out(f.into.Flush()), err)
		}
		if mark, ok := bytes.CutPrefix(line, []byte(lostMark)); ok {
			if n, err := strconv.ParseUint(string(bytes.TrimSpace(mark)), 10, 64); err == nil {
				f.lost.Events = n
			}
			continue
		}
		if err := f.into.Line(line); err != nil {
			return out(err)
		}
		if r.Buffered() == 0 {
			if err := f.into.Flush(); err != nil {
				return out(err)
			}
		}
	}
}
