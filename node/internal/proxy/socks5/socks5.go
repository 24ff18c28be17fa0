package socks5

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"syscall"
	"time"

	"github.com/wgnode/wgnode/node/internal/proxy"
)

// Serve serves clients that connect to l, which it closes in the end, and
// reaches what they want through to. They must know c, if that is not zero. It
// returns nil when ctx has ended and all that it began.
func Serve(ctx context.Context, l net.Listener, to proxy.Network, c proxy.Credentials, o proxy.Options) error {
	s := server{to, c, o.WithDefaults(), make(chan struct{}, maxAssociations)}
	return proxy.Serve(ctx, l, s.opt.MaxConns, func(ctx context.Context, client net.Conn) {
		if err := s.serve(ctx, client); err != nil && ctx.Err() == nil {
			s.opt.Logger.Info("socks5", "client", proxy.Client(client), "error", err)
		}
	})
}

type server struct {
	to    proxy.Network
	creds proxy.Credentials
	opt   proxy.Options

	associations chan struct{} // holds one for each that there is
}

func (s *server) serve(ctx context.Context, client net.Conn) error {
	if err := client.SetDeadline(time.Now().Add(s.opt.HandshakeTime)); err != nil {
		return err
	}
	err := s.greet(client)
	if errors.Is(err, io.EOF) {
		return nil // somebody looked whether the port is open
	}
	if err != nil {
		return err
	}
	var head [3]byte
	if _, err := io.ReadFull(client, head[:]); err != nil {
		return fmt.Errorf("read request: %w", err)
	}
	if head[0] != version {
		return fmt.Errorf("version %d in the request", head[0])
	}
	t, err := readTarget(client)
	if err != nil {
		if errors.Is(err, errAddressType) {
			return s.refuse(client, noAddressType, err)
		}
		return s.refuse(client, generalFailure, fmt.Errorf("read request: %w", err))
	}
	if err := client.SetDeadline(time.Time{}); err != nil {
		return err
	}
	switch head[1] {
	case commandConnect:
		return s.connect(ctx, client, t)
	case commandAssociate:
		return s.associate(ctx, client, t)
	}
	return s.refuse(client, noCommand, fmt.Errorf("command %d", head[1]))
}

// greet agrees on a method and has the client show what it knows.
func (s *server) greet(client net.Conn) error {
	var b [255]byte
	if _, err := io.ReadFull(client, b[:2]); err != nil {
		return err
	}
	if b[0] != version {
		return fmt.Errorf("version %d: only 5 is served", b[0])
	}
	methods := b[:b[1]]
	if _, err := io.ReadFull(client, methods); err != nil {
		return fmt.Errorf("read methods: %w", err)
	}
	want := byte(methodNone)
	if s.creds.Required() {
		want = methodPassword
	}
	chosen := byte(methodRefused)
	for _, m := range methods {
		if m == want {
			chosen = m
		}
	}
	if _, err := client.Write([]byte{version, chosen}); err != nil {
		return fmt.Errorf("choose method: %w", err)
	}
	switch chosen {
	case methodRefused:
		return errors.New("the client offers no method that is good enough")
	case methodPassword:
		return s.authenticate(client)
	}
	return nil
}

// authenticate is RFC 1929.
func (s *server) authenticate(client net.Conn) error {
	var b [1 + 255]byte
	if _, err := io.ReadFull(client, b[:1]); err != nil {
		return fmt.Errorf("read user and password: %w", err)
	}
	if b[0] != authVersion {
		return fmt.Errorf("version %d of user and password", b[0])
	}
	var words [2]string
	for i := range words {
		if _, err := io.ReadFull(client, b[:1]); err != nil {
			return fmt.Errorf("read user and password: %w", err)
		}
		word := b[1 : 1+int(b[0])]
		if _, err := io.ReadFull(client, word); err != nil {
			return fmt.Errorf("read user and password: %w", err)
		}
		words[i] = string(word)
	}
	if !s.creds.Match(words[0], words[1]) {
		_, err := client.Write([]byte{authVersion, 1})
		return errors.Join(errors.New("wrong user or password"), err)
	}
	_, err := client.Write([]byte{authVersion, 0})
	return err
}

func (s *server) connect(ctx context.Context, client net.Conn, t target) error {
	dctx, cancel := context.WithTimeout(ctx, s.opt.DialTime)
	far, err := s.to.DialContext(dctx, "tcp", t.String())
	cancel()
	if err != nil {
		return s.refuse(client, replyTo(err), err)
	}
	if _, err := client.Write(appendReply(nil, succeeded, addrPort(far.LocalAddr()))); err != nil {
		_ = far.Close() // nothing was sent
		return fmt.Errorf("reply: %w", err)
	}
	if err := proxy.Relay(ctx, client, far); err != nil {
		s.opt.Logger.Debug("socks5: connection broke", "client", proxy.Client(client), "to", t.String(), "error", err)
	}
	return nil
}

// refuse tells the client, and returns why.
func (s *server) refuse(client net.Conn, r reply, why error) error {
	if _, err := client.Write(appendReply(nil, r, netip.AddrPort{})); err != nil {
		return errors.Join(why, fmt.Errorf("reply: %w", err))
	}
	return why
}

// replyTo tells what an attempt failed of.
func replyTo(err error) reply {
	switch dns, _ := errors.AsType[*net.DNSError](err); {
	case errors.Is(err, syscall.ECONNREFUSED):
		return refused
	case errors.Is(err, syscall.ENETUNREACH):
		return networkUnreachable
	case dns != nil, errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ETIMEDOUT), errors.Is(err, context.DeadlineExceeded):
		return hostUnreachable
	}
	return generalFailure
}
