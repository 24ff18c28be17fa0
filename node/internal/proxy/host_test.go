package proxy

import (
	"net"
	"testing"
)

func TestCheckTarget(t *testing.T) {
	for text, want := range map[string]bool{
		"example.com:80": true, "192.0.2.1:1": true, "[2001:db8::1]:65535": true, "[fe80::1%eth0]:80": true, "bücher.example:443": true,
		"example.com": false, "example.com:": false, "example.com:0": false, "example.com:65536": false, "example.com:http": false,
		":80": false, "]:80": false, "[]:80": false, "[::1]80": false, "::1:80": false, "a b:80": false, "a\nb:80": false, "a/b:80": false,
		"a%b:80": false, "[fe80::1%a\nb]:80": false, "[fe80::1%a]b]:80": false, "a:+1": false, "a:80 ": false,
	} {
		if err := CheckTarget(text); (err == nil) != want {
			t.Errorf("%q: %v", text, err)
		}
	}
}

// What passes can be dialed: it has a host and a port, and no second reading.
func FuzzCheckTarget(f *testing.F) {
	for _, seed := range []string{"a:1", "[::1]:65535", "[fe80::1%x]:2", "]:80", "a:00080"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if CheckTarget(text) != nil {
			return
		}
		host, port, err := net.SplitHostPort(text)
		if err != nil || host == "" || port == "" {
			t.Fatalf("%q: %q, %q, %v", text, host, port, err)
		}
		if again := net.JoinHostPort(host, port); CheckTarget(again) != nil {
			t.Errorf("%q passes, and %q does not", text, again)
		}
	})
}
