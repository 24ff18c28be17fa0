package control

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"time"
)

// StreamProtocol is what a connection to the control socket becomes that leads
// into the tunnel.
const StreamProtocol = "wgnode-stream"

// Connect has the node, which must be one without an interface, connect to
// HOST:PORT through its tunnel. What is returned is that connection; it has a
// method CloseWrite, as TCP's do.
func (c *Client) Connect(ctx context.Context, address string) (net.Conn, error) {
	conn, err := c.dial(ctx)
	if err != nil {
		return nil, err
	}
	s, err := c.stream(ctx, conn, address)
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
	req.Header.Set("Upgrade", StreamProtocol)
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
	return nil, answer.err()
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
