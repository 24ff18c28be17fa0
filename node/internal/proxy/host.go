package proxy

import (
	"fmt"
	"net"
	"net/netip"
	"strconv"
)

// IsHost reports whether a client's text can be a host: an address, or what may be a
// name. Anything else would not be one in an address or in a log either.
func IsHost(text string) bool {
	_, err := netip.ParseAddr(text)
	isAddr := err == nil // whose zone begins with a percent sign
	for _, c := range []byte(text) {
		if c <= ' ' || c == 0x7f || c == '/' || c == '[' || c == ']' || c == '%' && !isAddr {
			return false
		}
	}
	return text != ""
}

// CheckTarget says what is wrong with a client's HOST:PORT, as a network dials it.
func CheckTarget(text string) error {
	host, port, err := net.SplitHostPort(text)
	if err != nil {
		return fmt.Errorf("%q is not HOST:PORT", text)
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
		return fmt.Errorf("%q is not a port", port)
	}
	if !IsHost(host) {
		return fmt.Errorf("%q is not a host", host)
	}
	return nil
}
