package control

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"

	"github.com/wgnode/wgnode/node/explain"
	"github.com/wgnode/wgnode/node/ping"
)

// frameSample is a ping.Sample as JSON. A series of them ends with one that says so.
const frameSample = 'S'

// errNoPing is for a node that has an interface, or a stack that sends no echoes.
var errNoPing = errors.New("only a node with a userspace stack of its own sends probes for others")

// ping sends a series of probes through the node's own stack, and streams what becomes of them.
// Where the interface is this host's, the client sends them itself.
func (s server) ping(w http.ResponseWriter, r *http.Request) {
	var req ping.Request
	if err := json.Unmarshal([]byte(r.URL.Query().Get("request")), &req); err != nil {
		Refuse(w, http.StatusBadRequest, fmt.Errorf("read request: %w", err))
		return
	}
	subject := s.Subject()
	stack, ok := subject.Prober.(explain.Stack)
	if !ok {
		Refuse(w, http.StatusConflict, errNoPing)
		return
	}
	if req.Sizes && req.Limit == 0 {
		req.Limit = subject.MTU
	}
	if err := req.Check(); err != nil {
		Refuse(w, http.StatusBadRequest, err)
		return
	}
	out := newFrameWriter(w)
	tell := func(m ping.Sample) error {
		if err := out.json(frameSample, m); err != nil {
			return err
		}
		return out.idle()
	}
	err := ping.Run(r.Context(), ping.Stack{Net: stack.Net}, req, tell)
	end := ping.Sample{What: ping.Ended}
	if err != nil {
		end.Text = err.Error()
	}
	if err := tell(end); err != nil {
		s.log.Debug("who pings has gone", "interface", subject.Interface, "error", err)
	}
}

// Ping has a node without an interface send a series of probes through its own stack, until it
// is over or ctx ends; see ping.Run.
func (c *Client) Ping(ctx context.Context, req ping.Request, into func(ping.Sample) error) error {
	b, err := json.Marshal(req)
	if err != nil {
		return fmt.Errorf("ping of node %s: %w", c.name, err)
	}
	over := false
	var failed error
	err = c.follow(ctx, "ping?"+url.Values{"request": {string(b)}}.Encode(), func(res *http.Response) error {
		return readFrames(res.Body, func(kind byte, body []byte) error {
			var m ping.Sample
			if kind == frameIdle {
				return nil
			}
			if kind != frameSample || over {
				return errFrame
			}
			if err := frameJSON(body, &m); err != nil {
				return err
			}
			if over = m.What == ping.Ended; over {
				if m.Text != "" {
					failed = errors.New(m.Text)
				}
				return nil
			}
			return out(into(m))
		})
	})
	if over && errors.Is(err, ErrEnded) {
		err = nil
	}
	return errors.Join(failed, err)
}
