package netstack_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"testing"

	"golang.org/x/net/dns/dnsmessage"

	"github.com/wgnode/wgnode/tunnel/netstack"
)

// nameServer answers by UDP what reply makes of a question, with a forged answer
// before each.
func nameServer(t *testing.T, reply func(q dnsmessage.Question) ([]dnsmessage.ResourceBody, dnsmessage.RCode)) netip.AddrPort {
	t.Helper()
	c, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	go func() {
		buf := make([]byte, 2000)
		for {
			n, from, err := c.ReadFrom(buf)
			if err != nil {
				return
			}
			var m dnsmessage.Message
			if err := m.Unpack(buf[:n]); err != nil {
				t.Errorf("question %x: %v", buf[:n], err)
				return
			}
			head := dnsmessage.ResourceHeader{Name: m.Questions[0].Name, Class: dnsmessage.ClassINET}
			forged := m
			forged.Response, forged.ID = true, m.ID+1
			forged.Answers = []dnsmessage.Resource{{Header: head, Body: &dnsmessage.AResource{A: [4]byte{192, 0, 2, 66}}}}
			bodies, rcode := reply(m.Questions[0])
			m.Response, m.RCode = true, rcode
			for _, b := range bodies {
				m.Answers = append(m.Answers, dnsmessage.Resource{Header: head, Body: b})
			}
			for _, m := range []dnsmessage.Message{forged, m} {
				if b, err := m.Pack(); err == nil {
					_, _ = c.WriteTo(b, from)
				}
			}
		}
	}()
	return netip.MustParseAddrPort(c.LocalAddr().String())
}

func TestResolver(t *testing.T) {
	names := map[string]bool{"both.example.": true, "web.corp.example.": true, "both.example.corp.example.": true}
	server := nameServer(t, func(q dnsmessage.Question) ([]dnsmessage.ResourceBody, dnsmessage.RCode) {
		name := q.Name.String()
		switch {
		case name == "broken.example.":
			return nil, dnsmessage.RCodeServerFailure
		case name == "four.example." && q.Type == dnsmessage.TypeAAAA:
			return nil, dnsmessage.RCodeSuccess
		case !names[name] && name != "four.example.":
			return nil, dnsmessage.RCodeNameError
		case q.Type == dnsmessage.TypeA:
			return []dnsmessage.ResourceBody{&dnsmessage.AResource{A: [4]byte{10, 0, 0, 2}}}, dnsmessage.RCodeSuccess
		}
		return []dnsmessage.ResourceBody{&dnsmessage.AAAAResource{AAAA: netip.MustParseAddr("fd00::2").As16()}}, dnsmessage.RCodeSuccess
	})
	gone, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	dead := netip.MustParseAddrPort(gone.LocalAddr().String())
	_ = gone.Close()
	var d net.Dialer
	r := &netstack.Resolver{Dial: d.DialContext, Servers: []netip.AddrPort{dead, server}, Search: []string{"corp.example"}}
	first4 := &netstack.Resolver{Dial: r.Dial, Servers: r.Servers, Search: r.Search, PreferIPv4: true}
	for _, test := range []struct {
		r             *netstack.Resolver
		network, host string
		want          string
		notFound      bool
	}{
		{r: r, network: "ip", host: "both.example", want: "[fd00::2 10.0.0.2]"},
		{r: first4, network: "ip", host: "both.example", want: "[10.0.0.2 fd00::2]"},
		{r: r, network: "ip4", host: "both.example", want: "[10.0.0.2]"},
		{r: r, network: "ip6", host: "both.example.", want: "[fd00::2]"},
		{r: r, network: "ip", host: "four.example", want: "[10.0.0.2]"},
		{r: r, network: "ip6", host: "four.example", want: "no such host", notFound: true},
		{r: r, network: "ip", host: "web", want: "[fd00::2 10.0.0.2]"},
		{r: r, network: "ip", host: "web.", want: "no such host", notFound: true},
		{r: r, network: "ip", host: "nowhere.example", want: "no such host", notFound: true},
		{r: r, network: "ip", host: "broken.example", want: "ServerFailure"},
		{r: r, network: "ip", host: "10.0.0.9", want: "[10.0.0.9]"},
		{r: r, network: "ip6", host: "10.0.0.9", want: "no address of that family", notFound: true},
		{r: r, network: "ip", host: "a..b", want: "not a name", notFound: true},
		{r: r, network: "ip", host: strings.Repeat("a", 64) + ".example", want: "not a name", notFound: true},
		{r: &netstack.Resolver{}, network: "ip", host: "both.example", want: "no DNS server"},
	} {
		got, err := test.r.LookupNetIP(t.Context(), test.network, test.host)
		says := fmt.Sprint(got)
		if err != nil {
			says = err.Error()
		}
		dns, _ := errors.AsType[*net.DNSError](err)
		if !strings.Contains(says, test.want) || dns != nil && dns.IsNotFound != test.notFound {
			t.Errorf("%s %s: %s, want %s", test.network, test.host, says, test.want)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := r.LookupNetIP(ctx, "ip", "both.example"); !errors.Is(err, context.Canceled) {
		t.Errorf("after the end: %v", err)
	}
}
