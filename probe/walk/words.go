package walk

import (
	"fmt"
	"strings"

	"github.com/wgnode/wgnode/probe"
)

// inner writes the inner packet of an event: "10.0.0.1:4000 > 192.0.2.1:80, 60
// bytes".
func inner(e *probe.Event) string {
	src, dst := e.Inner()
	if e.Proto == probe.ProtoTCP || e.Proto == probe.ProtoUDP {
		return fmt.Sprintf("%s > %s, %d bytes", src, dst, e.InnerLen)
	}
	return fmt.Sprintf("%s > %s, %d bytes", src.Addr(), dst.Addr(), e.InnerLen)
}

// chainName is a chain without the description in brackets.
func chainName(s string) string {
	name, _, _ := strings.Cut(s, " (")
	return name
}
