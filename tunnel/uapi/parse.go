package uapi

import (
	"bufio"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/wgnode/wgnode/probe/key"
)

// ParseStatus reads the answer to `get=1` up to its empty line or the end of r.
// Keys that it does not know are skipped, so that a newer device can still be
// read. A known key in the wrong place or with a bad value is an error, which
// names the line and the key, never the value: it may be a secret. An answer
// with another errno than 0 is an error that errors.As finds as a
// [syscall.Errno].
func ParseStatus(r io.Reader) (*Status, error) {
	s, _, err := parseStatus(bufio.NewReader(r))
	return s, err
}

// ParseText is [ParseStatus] of what is in memory already. It copies none of it, which
// counts for ten thousand peers.
func ParseText(text string) (*Status, error) {
	p := parser{status: new(Status)}
	if n := strings.Count(text, "public_key="); n > 0 {
		p.status.Peers = make([]PeerStatus, 0, n)
	}
	s, _, err := p.parse(func() (string, error) {
		if text == "" {
			return "", io.EOF
		}
		var line string
		line, text, _ = strings.Cut(text, "\n")
		if len(line) > maxLine {
			return "", errLine
		}
		return line, nil
	})
	return s, err
}

// parseStatus also tells whether the errno line was there. Over a socket its
// absence means that the answer was cut off.
func parseStatus(r *bufio.Reader) (s *Status, ended bool, err error) {
	p := parser{status: new(Status)}
	return p.parse(func() (string, error) { return readLine(r) })
}

// parse parses the lines that next returns.
func (p *parser) parse(next func() (string, error)) (s *Status, ended bool, err error) {
	for n := 1; ; n++ {
		line, err := next()
		if err == io.EOF || err == nil && line == "" {
			break
		}
		if err != nil {
			return nil, false, fmt.Errorf("read status line %d: %w", n, err)
		}
		name, value, ok := strings.Cut(line, "=")
		if !ok {
			return nil, false, fmt.Errorf("parse status line %d: no '='", n)
		}
		if name == "errno" {
			ended = true
			if err := parseErrno(value); err != nil {
				return nil, true, err
			}
			continue
		}
		if err := p.set(name, value); err != nil {
			return nil, false, fmt.Errorf("parse status line %d, %s: %w", n, name, err)
		}
	}
	p.finishPeer()
	return p.status, ended, nil
}

// maxLine bounds one line. The longest that a device sends is an endpoint, or
// `preshared_key=` and 64 digits.
const maxLine = 4096

var errLine = errors.New("line too long")

// readLine returns a line without its end. It returns io.EOF only when nothing
// is left: a last line may lack its newline.
func readLine(r *bufio.Reader) (string, error) {
	var line []byte
	for {
		part, err := r.ReadSlice('\n')
		line = append(line, part...)
		switch {
		case len(line) > maxLine:
			return "", errLine
		case err == bufio.ErrBufferFull:
			continue
		case err == io.EOF && len(line) > 0, err == nil:
			return strings.TrimSuffix(string(line), "\n"), nil
		default:
			return "", err
		}
	}
}

// parseErrno turns the value of an errno line into an error, or nil for 0. The
// protocol's numbers are positive; wireguard-go sends some negated.
func parseErrno(value string) error {
	n, err := strconv.ParseInt(value, 10, 32)
	if err != nil {
		return errors.New("parse answer: errno is not a number")
	}
	if n < 0 {
		n = -n
	}
	if n != 0 {
		return fmt.Errorf("device refused the request: %w", syscall.Errno(n))
	}
	return nil
}

// parser collects lines. The lines of a peer belong to the latest public_key.
type parser struct {
	status *Status
	peer   *PeerStatus // nil while the device's own lines come
	// The handshake's time comes in two lines, in either order.
	sec, nsec int64
}

var (
	errNumber   = errors.New("not a number in range")
	errKey      = errors.New("not a key: want 64 hexadecimal digits")
	errPrefix   = errors.New("not an address with a prefix length")
	errEndpoint = errors.New("not an IP address and port")
	errNoPeer   = errors.New("before any public_key")
	errInPeer   = errors.New("belongs to the device, but a peer has begun")
)

func (p *parser) set(name, value string) error {
	switch name {
	case "private_key", "listen_port", "fwmark":
		if p.peer != nil {
			return errInPeer
		}
		return p.setDevice(name, value)
	case "public_key":
		return p.beginPeer(value)
	case "preshared_key", "endpoint", "last_handshake_time_sec", "last_handshake_time_nsec",
		"rx_bytes", "tx_bytes", "persistent_keepalive_interval", "allowed_ip":
		if p.peer == nil {
			return errNoPeer
		}
		return p.setPeer(name, value)
	}
	return nil
}

func (p *parser) setDevice(name, value string) error {
	switch name {
	case "private_key":
		if err := parseKey(p.status.PrivateKey[:], value); err != nil {
			return err
		}
		p.status.PublicKey = key.Public{}
		if !p.status.PrivateKey.IsZero() {
			p.status.PublicKey = p.status.PrivateKey.Public()
		}
		return nil
	case "listen_port":
		n, err := parseUint(value, 16)
		p.status.ListenPort = uint16(n)
		return err
	default: // fwmark
		n, err := parseUint(value, 32)
		p.status.FwMark = uint32(n)
		return err
	}
}

func (p *parser) beginPeer(value string) error {
	p.finishPeer()
	var pub key.Public
	if err := parseKey(pub[:], value); err != nil {
		return err
	}
	p.status.Peers = append(p.status.Peers, PeerStatus{PublicKey: pub})
	p.peer = &p.status.Peers[len(p.status.Peers)-1]
	return nil
}

func (p *parser) finishPeer() {
	if p.peer != nil && (p.sec != 0 || p.nsec != 0) {
		p.peer.LastHandshake = time.Unix(p.sec, p.nsec)
	}
	p.sec, p.nsec = 0, 0
}

func (p *parser) setPeer(name, value string) (err error) {
	switch name {
	case "preshared_key":
		return parseKey(p.peer.PresharedKey[:], value)
	case "endpoint":
		if p.peer.Endpoint, err = netip.ParseAddrPort(value); err != nil {
			return errEndpoint
		}
	case "allowed_ip":
		prefix, err := netip.ParsePrefix(value)
		if err != nil {
			return errPrefix
		}
		p.peer.AllowedIPs = append(p.peer.AllowedIPs, prefix)
	case "rx_bytes":
		p.peer.RxBytes, err = parseUint(value, 64)
	case "tx_bytes":
		p.peer.TxBytes, err = parseUint(value, 64)
	case "persistent_keepalive_interval":
		n, err := parseUint(value, 16)
		p.peer.PersistentKeepalive = time.Duration(n) * time.Second
		return err
	case "last_handshake_time_sec":
		n, err := parseUint(value, 63)
		p.sec = int64(n)
		return err
	case "last_handshake_time_nsec":
		n, err := parseUint(value, 63)
		if n >= uint64(time.Second) {
			return errNumber
		}
		p.nsec = int64(n)
		return err
	}
	return err
}

func parseUint(value string, bits int) (uint64, error) {
	n, err := strconv.ParseUint(value, 10, bits)
	if err != nil {
		return 0, errNumber // strconv's own would quote the value
	}
	return n, nil
}

func parseKey(to []byte, value string) error {
	if len(value) != hex.EncodedLen(key.Size) {
		return errKey
	}
	for i := range to {
		high, low := digit(value[2*i]), digit(value[2*i+1])
		if high > 15 || low > 15 {
			return errKey
		}
		to[i] = high<<4 | low
	}
	return nil
}

// digit is the value of a hexadecimal digit, more than 15 for what is none.
func digit(c byte) byte {
	switch {
	case '0' <= c && c <= '9':
		return c - '0'
	case 'a' <= c && c <= 'f':
		return c - 'a' + 10
	case 'A' <= c && c <= 'F':
		return c - 'A' + 10
	}
	return 255
}
