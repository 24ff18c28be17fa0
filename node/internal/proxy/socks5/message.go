package socks5

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strconv"

	"github.com/wgnode/wgnode/node/internal/proxy"
)

const (
	version     = 5
	authVersion = 1 // of RFC 1929

	methodNone     = 0
	methodPassword = 2
	methodRefused  = 0xff

	commandConnect   = 1
	commandAssociate = 3

	typeIPv4 = 1
	typeName = 3
	typeIPv6 = 4
)

// reply is what came of a request (RFC 1928 6).
type reply byte

const (
	succeeded          reply = 0
	generalFailure     reply = 1
	networkUnreachable reply = 3
	hostUnreachable    reply = 4
	refused            reply = 5
	noCommand          reply = 7
	noAddressType      reply = 8
)

var errAddressType = errors.New("unknown type of address")

// target is an address as a request has it: HOST and PORT.
type target struct {
	host string
	port uint16
}

func (t target) String() string { return net.JoinHostPort(t.host, strconv.Itoa(int(t.port))) }

// readTarget reads an address, from its type on.
func readTarget(r io.Reader) (target, error) {
	var b [256]byte
	if _, err := io.ReadFull(r, b[:1]); err != nil {
		return target{}, err
	}
	length := 0
	switch kind := b[0]; kind {
	case typeIPv4:
		length = 4
	case typeIPv6:
		length = 16
	case typeName:
		if _, err := io.ReadFull(r, b[:1]); err != nil {
			return target{}, err
		}
		name := b[:b[0]]
		if _, err := io.ReadFull(r, name); err != nil {
			return target{}, err
		}
		host := string(name)
		if !proxy.IsHost(host) {
			return target{}, errors.New("not the name of a host")
		}
		if addr, err := netip.ParseAddr(host); err == nil {
			host = addr.Unmap().String() // in one spelling, as below
		}
		port, err := readPort(r)
		return target{host, port}, err
	default:
		return target{}, fmt.Errorf("%w: %d", errAddressType, kind)
	}
	if _, err := io.ReadFull(r, b[:length]); err != nil {
		return target{}, err
	}
	addr, _ := netip.AddrFromSlice(b[:length]) // the lengths are right
	port, err := readPort(r)
	return target{addr.Unmap().String(), port}, err
}

func readPort(r io.Reader) (uint16, error) {
	var b [2]byte
	_, err := io.ReadFull(r, b[:])
	return binary.BigEndian.Uint16(b[:]), err
}

// appendAddr writes an address, from its type on.
func appendAddr(b []byte, a netip.AddrPort) []byte {
	addr := a.Addr().Unmap().WithZone("")
	switch {
	case !addr.IsValid():
		b = append(b, typeIPv4, 0, 0, 0, 0)
	case addr.Is4():
		b = append(append(b, typeIPv4), addr.AsSlice()...)
	default:
		b = append(append(b, typeIPv6), addr.AsSlice()...)
	}
	return binary.BigEndian.AppendUint16(b, a.Port())
}

// appendReply writes the answer to a request.
func appendReply(b []byte, r reply, bound netip.AddrPort) []byte {
	return appendAddr(append(b, version, byte(r), 0), bound)
}

// addrPort is the address of a socket, the zero value if it has none of that kind.
func addrPort(a net.Addr) netip.AddrPort {
	switch a := a.(type) {
	case *net.TCPAddr:
		return unmap(a.AddrPort())
	case *net.UDPAddr:
		return unmap(a.AddrPort())
	}
	return netip.AddrPort{}
}

func unmap(a netip.AddrPort) netip.AddrPort {
	return netip.AddrPortFrom(a.Addr().Unmap(), a.Port())
}
