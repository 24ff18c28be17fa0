package config

import (
	"bufio"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// WriteTOML writes c in wgnode's own format, in a form that parses to an equal
// Config. A key that is kept elsewhere is written as where it is, and shared
// peers as the name of their file. Only what is not UTF-8 cannot be written;
// then nothing is. For its secrets see [Config.WriteConf].
func (c *Config) WriteTOML(w io.Writer) error {
	if beyond := c.beyondTOML(); len(beyond) > 0 {
		return beyond
	}
	t := tomlWriter{bufio.NewWriter(w)}
	t.intface(c)
	if l := c.Metrics.Listen; !l.IsZero() {
		t.line("\n[metrics]")
		t.text("listen", l.String())
		t.list("hosts", c.Metrics.Hosts)
		t.text("web_config", c.Metrics.WebConfig)
	}
	t.telemetry(&c.Telemetry)
	for n := range c.Peers {
		if p := &c.Peers[n]; !p.Shared {
			t.peer(p)
		}
	}
	t.services(&c.Services)
	if err := t.out.Flush(); err != nil {
		return fmt.Errorf("write configuration: %w", err)
	}
	return nil
}

// tomlWriter writes keys that are not at their default. Its buffer keeps the
// first error for Flush.
type tomlWriter struct{ out *bufio.Writer }

func (t tomlWriter) line(format string, args ...any) { fmt.Fprintf(t.out, format+"\n", args...) }

func (t tomlWriter) raw(key, value string) { t.line("%s = %s", key, value) }

func (t tomlWriter) text(key, value string) {
	if value != "" {
		t.raw(key, quoteTOML(value))
	}
}

func (t tomlWriter) number(key string, value int64) {
	if value != 0 {
		t.raw(key, strconv.FormatInt(value, 10))
	}
}

func (t tomlWriter) flag(key string, value bool) {
	if value {
		t.raw(key, "true")
	}
}

// list writes short lists on one line, and others with one item a line.
func (t tomlWriter) list(key string, items []string) {
	if len(items) == 0 {
		return
	}
	quoted := make([]string, len(items))
	for i, item := range items {
		quoted[i] = quoteTOML(item)
	}
	if one := strings.Join(quoted, ", "); len(key)+len(one) < 90 {
		t.raw(key, "["+one+"]")
		return
	}
	t.raw(key, "[\n  "+strings.Join(quoted, ",\n  ")+",\n]")
}

// secret writes a key, or where it is kept.
func (t tomlWriter) secret(key string, from Source, isZero bool, value func() string) {
	switch {
	case from != Source{}:
		t.text(key+"_"+string(from.Kind), from.Value)
	case !isZero:
		t.text(key, value())
	}
}

func (t tomlWriter) intface(c *Config) {
	i := &c.Interface
	t.line("[interface]")
	if ValidName(c.Name) {
		t.text("name", c.Name)
	}
	t.secret("private_key", i.PrivateKeyFrom, i.PrivateKey.IsZero(), i.PrivateKey.Base64)
	t.list("address", texts(i.Addresses))
	t.number("listen_port", int64(i.ListenPort))
	if i.FwMark != 0 {
		t.raw("fwmark", fmt.Sprintf("%#x", i.FwMark))
	}
	t.list("dns", texts(i.DNS))
	t.list("search", i.Search)
	t.text("resolver", i.Resolver)
	t.number("mtu", int64(i.MTU))
	switch {
	case i.Table == TableAuto:
	case i.Table == TableOff, i.TableName != "":
		t.text("table", i.tableText())
	default:
		t.number("table", int64(i.Table))
	}
	for _, h := range i.hooks() {
		t.list(tomlSpelling[h.key], h.commands)
	}
	t.flag("save_config", i.SaveConfig)
	t.flag("kill_switch", i.KillSwitch)
	t.flag("kill_switch_lan", i.KillSwitchLAN)
	t.list("exclude", texts(i.Exclude))
	t.flag("forward", i.Forward)
	t.list("masquerade", i.Masquerade)
	t.text("peers_file", i.PeersFile)
	for _, f := range i.PortForwards {
		t.line("\n[[interface.port_forward]]")
		t.text("protocol", f.Protocol)
		t.text("from", f.From)
		t.number("port", int64(f.Port))
		t.text("to", f.To.String())
	}
}

func (t tomlWriter) peer(p *Peer) {
	t.line("\n[[peer]]")
	t.text("name", p.Name)
	t.text("public_key", p.PublicKey.Base64())
	t.secret("preshared_key", p.PresharedKeyFrom, p.PresharedKey.IsZero(), p.PresharedKey.Base64)
	t.text("endpoint", p.Endpoint)
	allowed := texts(p.AllowedIPs)
	if p.Incremental {
		allowed = append(signed("+", p.AllowedIPs), signed("-", p.Removed)...)
	}
	t.list("allowed_ips", allowed)
	t.number("persistent_keepalive", int64(p.PersistentKeepalive))
	// That there are none also says something, where the peer is shared.
	if len(allowed) == 0 && p.Given("AllowedIPs") {
		t.raw("allowed_ips", "[]")
	}
	if p.PersistentKeepalive == 0 && p.Given("PersistentKeepalive") {
		t.text("persistent_keepalive", "off")
	}
}

func texts[T fmt.Stringer](values []T) []string {
	all := make([]string, len(values))
	for i, v := range values {
		all[i] = v.String()
	}
	return all
}

// quoteTOML returns s as a basic string of TOML.
func quoteTOML(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r == '\n':
			b.WriteString(`\n`)
		case r == '\t':
			b.WriteString(`\t`)
		case r < ' ' || r == 0x7f:
			fmt.Fprintf(&b, `\u%04X`, r)
		default:
			b.WriteRune(r)
		}
	}
	b.WriteByte('"')
	return b.String()
}
