package node

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/wgnode/wgnode/node/internal/proxy"
)

// streamProtocol is what a connection to the control socket becomes that leads
// into the tunnel.
const streamProtocol = "wgnode-stream"

// connectTime is how long an attempt to connect may take.
const connectTime = 30 * time.Second

// ConnectRequest asks for a connection through the tunnel.
type ConnectRequest struct {
	Address string `json:"address"` // HOST:PORT; a name is looked up inside
}

// connectHandler serves POST /v1/connect: after 101 the connection to the socket
// is one to the address, each of its two directions with an end of its own.
type connectHandler struct {
	n       *Node
	streams *sync.WaitGroup // those that are open
}

func (h connectHandler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h.streams.Add(1)
	defer h.streams.Done()
	var req ConnectRequest
	if err := decode(w, r, &req); err != nil {
		refuse(w, http.StatusBadRequest, err)
		return
	}
	if h.n.net == nil {
		refuse(w, http.StatusConflict, fmt.Errorf("the tunnel ends in the network interface %s: connect to %s as to any "+
			"other host", h.n.name, req.Address))
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), connectTime)
	far, err := h.n.inside().DialContext(ctx, "tcp", req.Address)
	cancel()
	if err != nil {
		refuse(w, http.StatusBadGateway, err)
		return
	}
	defer far.Close() // for the paths that do not get to the relay
	near, rw, err := http.NewResponseController(w).Hijack()
	if err != nil {
		refuse(w, http.StatusInternalServerError, err)
		return
	}
	defer near.Close() // as above
	err = near.SetDeadline(time.Time{})
	if err == nil {
		_, err = fmt.Fprintf(near, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: %s\r\n\r\n", streamProtocol)
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

// Connect has the node, which must be one without an interface, connect to
// HOST:PORT through its tunnel. What is returned is that connection; it has a
// method CloseWrite, as TCP's do.
func (c *Client) Connect(ctx context.Context, address string) (net.Conn, error) {
	conn, err := c.connect(ctx)
	if err != nil {
		return nil, err
	}
	s, err := c.stream(ctx, conn.(*net.UnixConn), address)
	if err != nil {
		_ = conn.Close() // the first error says why
		return nil, err
	}
	return s, nil
}

func (c *Client) stream(ctx context.Context, conn *net.UnixConn, address string) (net.Conn, error) {
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	body, err := json.Marshal(ConnectRequest{address})
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequest(http.MethodPost, "http://node/v1/connect", bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Connection", "Upgrade")
	req.Header.Set("Upgrade", streamProtocol)
	if err := req.Write(conn); err != nil {
		return nil, ended(ctx, err)
	}
	r := bufio.NewReader(conn)
	res, err := http.ReadResponse(r, req)
	if err != nil {
		return nil, ended(ctx, err)
	}
	if res.StatusCode == http.StatusSwitchingProtocols {
		if !stop() {
			return nil, ctx.Err()
		}
		return &tunnelConn{Conn: conn, r: r}, nil
	}
	defer res.Body.Close()
	var answer errorAnswer
	if err := json.NewDecoder(res.Body).Decode(&answer); err != nil || answer.Error == "" {
		return nil, fmt.Errorf("node %s: answers %s", c.name, res.Status)
	}
	return nil, errors.New(answer.Error)
}

// tunnelConn is a connection of which some may have been read already. It embeds an
// interface so as to have no method but those: with the descriptor of a
// [net.UnixConn], io.Copy to a file would splice past what r holds.
type tunnelConn struct {
	net.Conn // a *net.UnixConn
	r        *bufio.Reader
}

func (s *tunnelConn) Read(b []byte) (int, error) { return s.r.Read(b) }

// CloseWrite ends the direction that is written to.
func (s *tunnelConn) CloseWrite() error { return s.Conn.(*net.UnixConn).CloseWrite() }
