package config

import "testing"

func TestParsePeerRoute(t *testing.T) {
	for text, want := range map[string]string{ // "" for an error
		"192.168.0.0/16":         "192.168.0.0/16",
		"192.168.7.7/16":         "192.168.0.0/16",
		"192.0.2.1":              "192.0.2.1/32",
		"192.0.2.0/24:443":       "192.0.2.0/24:443",
		"tcp:192.0.2.0/24:80-90": "tcp:192.0.2.0/24:80-90",
		"udp:192.0.2.0/24":       "udp:192.0.2.0/24",
		"fd00::/8":               "fd00::/8",
		"[fd00::/8]":             "fd00::/8",
		"[fd00::/8]:53":          "[fd00::/8]:53",
		"udp:[2001:db8::1]:53":   "udp:[2001:db8::1/128]:53",
		"":                       "",
		"icmp:192.0.2.0/24":      "",
		"192.0.2.0/33":           "",
		"192.0.2.0/24:":          "",
		"192.0.2.0/24:0":         "",
		"192.0.2.0/24:90-80":     "",
		"192.0.2.0/24:80-":       "",
		"192.0.2.0/24:65536":     "",
		"example.com:80":         "",
		"[fd00::/8]53":           "",
		"[fd00::/8":              "",
		"::ffff:192.0.2.0/120":   "",
		"tcp:udp:192.0.2.0/24":   "",
	} {
		r, err := ParsePeerRoute(text)
		got := ""
		if err == nil {
			got = r.String()
		}
		if got != want {
			t.Errorf("%q: %q, %v, want %q", text, got, err, want)
		}
		if again, err := ParsePeerRoute(got); err == nil && again != r {
			t.Errorf("%q is read as %v", got, again)
		}
	}
}
