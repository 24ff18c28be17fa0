package node

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"

	"github.com/wgnode/wgnode/node/control"
	"github.com/wgnode/wgnode/node/internal/proxy"
)

// connectTime is how long an attempt to connect may take.
const connectTime = 30 * time.Second

// connectHandler serves POST /v1/connect: after 101 the connection to the socket
// is one to the address, each of its two directions with an end of its own.
type connectHandler struct {
	n       *Node
	streams *sync.WaitGroup // those that are open
}

func (h connectHandler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h.streams.Add(1)
	defer h.streams.Done()
	var req control.ConnectRequest
	if err := control.Decode(w, r, &req); err != nil {
		control.Refuse(w, http.StatusBadRequest, err)
		return
	}
	if h.n.net == nil {
		control.Refuse(w, http.StatusConflict, fmt.Errorf("the tunnel ends in the network interface %s: connect to %s as to any "+
			"other host", h.n.name, req.Address))
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), connectTime)
	far, err := h.n.services.Inside().DialContext(ctx, "tcp", req.Address)
	cancel()
	if err != nil {
		control.Refuse(w, http.StatusBadGateway, err)
		return
	}
	defer far.Close() // for the paths that do not get to the relay
	near, rw, err := http.NewResponseController(w).Hijack()
	if err != nil {
		control.Refuse(w, http.StatusInternalServerError, err)
		return
	}
	defer near.Close() // as above
	err = near.SetDeadline(time.Time{})
	if err == nil {
		_, err = fmt.Fprintf(near, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: %s\r\n\r\n", control.StreamProtocol)
	}
	if err == nil {
		_, err = io.CopyN(far, rw, int64(rw.Reader.Buffered())) // sent in haste
	}
	if err == nil {
		err = proxy.Relay(r.Context(), near, far)
	}
	if err != nil {
		h.n.opt.Logger.Debug("stream broke", "interface", h.n.name, "to", req.Address, "error", err)
	}
}
