package control

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/wgnode/wgnode/node/explain"
	"github.com/wgnode/wgnode/node/trace"
	"github.com/wgnode/wgnode/probe/diagnose"
	"github.com/wgnode/wgnode/probe/walk"
)

// ErrEnded: what was asked went down in the middle of an answer.
var ErrEnded = errors.New("the node went down")

// ErrNoEnd: somebody has looked enough, and what passed just before that was not all sent.
var ErrNoEnd = errors.New("the rest did not come")

// ErrEarlier: who is asked is of an earlier release, which does not know the question.
var ErrEarlier = errors.New("it is of an earlier release of wgnode, which does not tell that")

// maxAnswer bounds what a client reads of an answer, in bytes: the state of a hundred
// thousand peers fits.
const maxAnswer = 256 << 20

// Dial makes a connection to who is asked: one of which either half can be shut down.
type Dial func(ctx context.Context) (*net.UnixConn, error)

// Client talks to who is served over a control socket, perhaps in another process. It is safe
// for concurrent use, keeps no connection open, and needs no closing.
type Client struct {
	name string
	dial Dial
	http *http.Client
}

// NewClient returns a client for the WireGuard of that name.
func NewClient(name string, dial Dial) *Client {
	c := &Client{name: name, dial: dial}
	c.http = &http.Client{Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			conn, err := dial(ctx)
			if err != nil {
				return nil, err // not a nil pointer in an interface
			}
			return conn, nil
		},
	}}
	return c
}

// Status asks for the node's present state.
func (c *Client) Status(ctx context.Context) (*Status, error) {
	return call[Status](ctx, c, http.MethodGet, "status", nil)
}

// Peers asks for the peers' names and keys.
func (c *Client) Peers(ctx context.Context) ([]PeerName, error) {
	names, err := call[[]PeerName](ctx, c, http.MethodGet, "peers", nil)
	if err != nil {
		return nil, err
	}
	return *names, nil
}

// Reload has the node take over what its file says by now, or the file at path
// if that is not "". out gets the lines that the node has for people. The error
// tells why nothing was changed.
func (c *Client) Reload(ctx context.Context, path string, out io.Writer) error {
	_, err := c.ReloadWith(ctx, ReloadRequest{Config: path}, out)
	return err
}

// End has the node end, without its hooks of going down and without saving:
// these are then the caller's concern. It does not wait for the end.
func (c *Client) End(ctx context.Context) error {
	_, err := call[struct{}](ctx, c, http.MethodPost, "end", struct{}{})
	return err
}

// Explain has the node follow a flow; see explain.Explain.
func (c *Client) Explain(ctx context.Context, req explain.Request) (*diagnose.Report, error) {
	return call[diagnose.Report](ctx, c, http.MethodPost, "explain", req)
}

// Doctor has the node judge its peers; see explain.Doctor.
func (c *Client) Doctor(ctx context.Context, req explain.DoctorRequest) (*diagnose.DoctorReport, error) {
	return call[diagnose.DoctorReport](ctx, c, http.MethodPost, "doctor", req)
}

// Trace has the node send a packet and follow it; see trace.Run.
func (c *Client) Trace(ctx context.Context, req trace.Request) (*walk.Walk, error) {
	return call[walk.Walk](ctx, c, http.MethodPost, "trace", req)
}

func call[T any](ctx context.Context, c *Client, method, what string, body any) (*T, error) {
	var text io.Reader = http.NoBody
	if body != nil {
		b, err := json.Marshal(body)
		if err != nil {
			return nil, fmt.Errorf("%s of node %s: %w", what, c.name, err)
		}
		text = bytes.NewReader(b)
	}
	req, err := http.NewRequestWithContext(ctx, method, "http://node/v1/"+what, text)
	if err != nil {
		return nil, fmt.Errorf("%s of node %s: %w", what, c.name, err)
	}
	res, err := c.do(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	result := new(T)
	if err := json.NewDecoder(io.LimitReader(res.Body, maxAnswer)).Decode(result); err != nil {
		return nil, fmt.Errorf("%s of node %s: %w", what, c.name, ended(ctx, err))
	}
	return result, nil
}

// do sends a request and turns an answer that is an error into one of Go's.
func (c *Client) do(req *http.Request) (*http.Response, error) {
	res, err := c.http.Do(req)
	if err != nil {
		var u *url.Error // repeats method and address
		if errors.As(err, &u) {
			err = u.Err
		}
		return nil, ended(req.Context(), err)
	}
	if res.StatusCode == http.StatusOK {
		return res, nil
	}
	defer res.Body.Close()
	var answer errorAnswer
	if err := json.NewDecoder(io.LimitReader(res.Body, maxBody)).Decode(&answer); err != nil || answer.Error == "" {
		if res.StatusCode == http.StatusNotFound {
			return nil, fmt.Errorf("node %s: %w", c.name, ErrEarlier)
		}
		return nil, fmt.Errorf("node %s: answers %s", c.name, res.Status)
	}
	return nil, answer.err()
}

// ended names the end of a connection that nobody asked for.
func ended(ctx context.Context, err error) error {
	if ctx.Err() == nil && (errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, syscall.ECONNRESET)) {
		return ErrEnded
	}
	return err
}

// stream is a connection whose end can be asked for, by shutting down our half of it: the node
// then sends what is left. That may take a while on a busy host; it fails when nothing comes for
// restTime.
type stream struct {
	*net.UnixConn
	latest atomic.Int64 // by when all is to have come, in Unix nanoseconds; 0: the end was not asked for
}

const (
	restTime = 30 * time.Second
	restMost = 2 * time.Minute
)

func (s *stream) end() {
	s.latest.Store(time.Now().Add(restMost).UnixNano())
	s.wait()
	_ = s.CloseWrite()
}

func (s *stream) wait() {
	if latest := s.latest.Load(); latest != 0 {
		by := time.Now().Add(restTime)
		if last := time.Unix(0, latest); by.After(last) {
			by = last
		}
		_ = s.SetReadDeadline(by)
	}
}

func (s *stream) Read(b []byte) (int, error) {
	s.wait()
	return s.UnixConn.Read(b)
}

// follow asks for something that does not end by itself, and has take read the
// answer until ctx ends, which is no error unless the rest does not come ([ErrNoEnd]), the node
// goes down, which is [ErrEnded], or take returns an error that wraps errOut.
func (c *Client) follow(ctx context.Context, what string, take func(*http.Response) error) error {
	dialed, err := c.dial(ctx)
	if err != nil {
		return err
	}
	conn := &stream{UnixConn: dialed}
	defer conn.Close()
	stop := context.AfterFunc(ctx, conn.end)
	defer stop()
	hreq, err := http.NewRequest(http.MethodGet, "http://node/v1/"+what, nil)
	if err != nil {
		return fmt.Errorf("ask node %s: %w", c.name, err)
	}
	asker := &Client{name: c.name, http: &http.Client{Transport: &http.Transport{
		DisableKeepAlives: true,
		ReadBufferSize:    streamBuffer,
		DialContext:       func(context.Context, string, string) (net.Conn, error) { return conn, nil },
	}}}
	res, err := asker.do(hreq)
	if err != nil {
		if ctx.Err() != nil {
			return nil
		}
		return err
	}
	defer res.Body.Close()
	err = take(res)
	switch {
	case errors.Is(err, errOut), errors.Is(err, errFrame):
		return err
	case ctx.Err() == nil:
		return ErrEnded
	case errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, syscall.ECONNRESET):
		return fmt.Errorf("node %s: %w: %w", c.name, ErrNoEnd, err)
	}
	return nil
}

var errOut = errors.New("write events")

// streamBuffer is how much of a stream is taken at once, in bytes. No line is longer.
const streamBuffer = 64 << 10
