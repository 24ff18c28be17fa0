package config

import (
	"bufio"
	"fmt"
	"io"
	"net/netip"
	"strings"
)

// WriteConf writes c as a wg-quick file that parses to an equal Config, in the
// order in which `wg-quick save` writes. What a .conf cannot say is an error of
// [Config.BeyondConf], and nothing is written then. With [Config.WriteTOML] and
// [Strip] it is what reveals secrets in this package: its output belongs in a
// file of mode 0600 or on the terminal of someone who asked for it.
func (c *Config) WriteConf(w io.Writer) error {
	if beyond := c.BeyondConf(); len(beyond) > 0 {
		return Errors(beyond)
	}
	b := bufio.NewWriter(w) // keeps the first error for Flush
	set := func(key, value string) {
		if value != "" {
			fmt.Fprintf(b, "%s = %s\n", key, value)
		}
	}
	i := &c.Interface
	fmt.Fprintln(b, "[Interface]")
	for _, a := range i.Addresses {
		set("Address", a.String())
	}
	for _, d := range i.DNS {
		set("DNS", d.String())
	}
	for _, s := range i.Search {
		set("DNS", s)
	}
	set("MTU", unlessZero(i.MTU))
	if i.Table != TableAuto || i.Given("Table") {
		set("Table", i.tableText())
	}
	if i.SaveConfig {
		set("SaveConfig", "true")
	}
	for _, h := range i.hooks() {
		for _, command := range h.commands {
			set(h.key, command)
		}
	}
	set("ListenPort", unlessZero(i.ListenPort))
	if i.FwMark != 0 {
		set("FwMark", fmt.Sprintf("%#x", i.FwMark))
	}
	if !i.PrivateKey.IsZero() {
		set("PrivateKey", i.PrivateKey.Base64())
	}

	for n := range c.Peers {
		p := &c.Peers[n]
		fmt.Fprintln(b, "\n[Peer]")
		if p.Name != "" {
			fmt.Fprintf(b, "# Name = %s\n", p.Name)
		}
		set("PublicKey", p.PublicKey.Base64())
		if !p.PresharedKey.IsZero() {
			set("PresharedKey", p.PresharedKey.Base64())
		}
		for _, line := range p.allowedIPsLines() {
			set("AllowedIPs", line)
		}
		set("Endpoint", p.Endpoint)
		set("PersistentKeepalive", unlessZero(p.PersistentKeepalive))
	}
	if err := b.Flush(); err != nil {
		return fmt.Errorf("write configuration: %w", err)
	}
	return nil
}

// allowedIPsLines returns the values of the AllowedIPs lines that give the
// peer its lists back. Whether a peer is incremental hangs on the last line.
func (p *Peer) allowedIPsLines() []string {
	removed := join("-", p.Removed)
	if !p.Incremental {
		return []string{removed, join("", p.AllowedIPs)}
	}
	return []string{join("+", p.AllowedIPs), removed}
}

func join(sign string, prefixes []netip.Prefix) string {
	return strings.Join(signed(sign, prefixes), ", ")
}

func signed(sign string, prefixes []netip.Prefix) []string {
	items := make([]string, len(prefixes))
	for i, p := range prefixes {
		items[i] = sign + p.String()
	}
	return items
}

func unlessZero[N int | uint16](n N) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprint(n)
}
