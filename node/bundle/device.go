package bundle

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"strings"
	"time"

	"github.com/wgnode/wgnode/node/config"
	"github.com/wgnode/wgnode/node/history"
	"github.com/wgnode/wgnode/node/peernames"
	"github.com/wgnode/wgnode/node/safefile"
	"github.com/wgnode/wgnode/probe/host/kernelwg"
	"github.com/wgnode/wgnode/probe/key"
	"github.com/wgnode/wgnode/probe/redact"
	"github.com/wgnode/wgnode/tunnel/uapi"
)

// device is what `wg show` tells, with its names, and without secrets.
type device struct {
	Kernel     bool         `json:"kernel"`
	PublicKey  key.Public   `json:"public_key"`
	ListenPort uint16       `json:"listen_port"`
	FwMark     uint32       `json:"fwmark,omitempty"`
	Peers      []devicePeer `json:"peers"`
}

type devicePeer struct {
	PublicKey  key.Public     `json:"public_key"`
	Preshared  bool           `json:"preshared_key"` // there is one
	Endpoint   netip.AddrPort `json:"endpoint,omitzero"`
	Handshake  time.Time      `json:"latest_handshake,omitzero"`
	Received   uint64         `json:"rx_bytes"`
	Sent       uint64         `json:"tx_bytes"`
	Keepalive  int            `json:"persistent_keepalive,omitempty"` // seconds
	AllowedIPs []netip.Prefix `json:"allowed_ips"`
}

// history is what became of the peers; none of a kernel device.
func (s *Subject) history(context.Context) ([]byte, error) {
	lines, err := history.Read(history.Dir(), s.Name)
	if err != nil {
		return nil, err
	}
	now := time.Now()
	return asJSON(lines.Report(s.Name, now.AddDate(0, 0, -7), now), nil)
}

// device asks the device, wgnode's or the kernel's.
func (s *Subject) device(context.Context) ([]byte, error) {
	status, err := uapi.Get(s.Name)
	if err == nil {
		d := device{PublicKey: status.PublicKey, ListenPort: status.ListenPort, FwMark: status.FwMark, Peers: []devicePeer{}}
		for i := range status.Peers {
			p := &status.Peers[i]
			d.Peers = append(d.Peers, devicePeer{p.PublicKey, !p.PresharedKey.IsZero(), p.Endpoint, p.LastHandshake, p.RxBytes, p.TxBytes,
				int(p.PersistentKeepalive / time.Second), p.AllowedIPs})
		}
		return asJSON(d, nil)
	}
	k, kerr := kernelwg.Read(s.Name)
	if kerr != nil {
		return nil, errors.Join(err, kerr)
	}
	d := device{Kernel: true, PublicKey: k.Public, ListenPort: k.Port, FwMark: k.Mark, Peers: []devicePeer{}}
	for i := range k.Peers {
		p := &k.Peers[i]
		d.Peers = append(d.Peers, devicePeer{p.Public, p.Preshared, p.Endpoint, p.Handshake, p.Received, p.Sent,
			int(p.Keepalive / time.Second), p.AllowedIPs})
	}
	return asJSON(d, nil)
}

// Learn makes known which keys of a device are secrets, and which are not.
func Learn(s *redact.Secrets, name string) {
	if status, err := uapi.Get(name); err == nil {
		s.Key(status.PrivateKey)
		s.Public(status.PublicKey)
		for i := range status.Peers {
			s.Key(status.Peers[i].PresharedKey)
			s.Public(status.Peers[i].PublicKey)
		}
	}
	if k, err := kernelwg.Read(name); err == nil {
		s.Public(k.Public)
		for i := range k.Peers {
			s.Public(k.Peers[i].Public)
		}
	}
}

// logFile is the file that the node's process was told to write its log to, "" for none.
func (s *Subject) logFile() string {
	if s.Known == nil || s.Known.PID == 0 {
		return ""
	}
	line, err := safefile.Read(fmt.Sprintf("/proc/%d/cmdline", s.Known.PID), 64<<10)
	if err != nil {
		return ""
	}
	args := strings.Split(string(line), "\x00")
	for i, arg := range args {
		if file, ok := strings.CutPrefix(arg, "--log="); ok {
			return file
		}
		if arg == "--log" && i+1 < len(args) {
			return args[i+1]
		}
	}
	return ""
}

// tail is the end of a file, from the beginning of a line.
func tail(file string, most int64) ([]byte, error) {
	f, err := safefile.OpenAny(file)
	if err != nil {
		return nil, err
	}
	defer f.Close() // nothing was written
	size, err := f.Seek(0, io.SeekEnd)
	if err != nil {
		return nil, err
	}
	from := max(size-most, 0)
	if _, err := f.Seek(from, io.SeekStart); err != nil {
		return nil, err
	}
	text, err := io.ReadAll(io.LimitReader(f, most))
	if i := bytes.IndexByte(text, '\n'); from > 0 && i >= 0 {
		text = text[i+1:]
	}
	return text, err
}

// Meet makes known what is to be called otherwise: names of the host, its interfaces, peers, and
// the hosts that the configuration names.
func Meet(ctx context.Context, n *redact.Names, s *Subject) {
	if host, err := os.Hostname(); err == nil {
		n.Meet("host", host)
		if short, _, ok := strings.Cut(host, "."); ok {
			n.Meet("host", short)
		}
	}
	n.Meet("interface", s.Name)
	if links, err := net.Interfaces(); err == nil {
		for i := range links {
			n.Meet("interface", links[i].Name)
		}
	}
	if s.Client != nil {
		if status, err := s.Client.Status(ctx); err == nil {
			for i := range status.Peers {
				n.Meet("peer", status.Peers[i].Name)
				n.Endpoint(status.Peers[i].Written)
			}
		}
	}
	names, _ := peernames.Find(s.Name)
	for _, name := range names {
		n.Meet("peer", name)
	}
	c, err := config.Inspect(s.Config)
	if err != nil {
		return // what it has is then told of as text
	}
	for i := range c.Peers {
		n.Meet("peer", c.Peers[i].Name)
		n.Endpoint(c.Peers[i].Endpoint)
	}
	for _, domain := range c.Interface.Search {
		n.Meet("domain", domain)
	}
}
