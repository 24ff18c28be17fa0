package probe

// HeaderLen returns how much of the IP packet b is headers: of IP and of TCP, UDP
// or ICMP; of an ICMP error also those of the packet that it quotes, as far as the
// first 8 bytes behind its IP header (RFC 792). What follows is content, or unknown.
// It is 0 if b is no IP packet.
func HeaderLen(b []byte) int {
	var e Event
	l4, first, ok := e.decodeIP(b)
	if !ok {
		return 0
	}
	if e.Flags&FlagTruncated != 0 {
		return min(len(b), 40)
	}
	n := len(b) - len(l4)
	if !first {
		return n
	}
	e.decodeTransport(l4)
	switch e.Proto {
	case ProtoTCP:
		if len(l4) >= 20 {
			n += max(int(l4[12]>>4)*4, 20)
		} else {
			n = len(b)
		}
	case ProtoUDP:
		n += 8
	case ProtoICMP, ProtoICMPv6:
		n += 8
		var quoted Event
		if e.ICMPError() && len(l4) > 8 {
			if inner, _, ok := quoted.decodeIP(l4[8:]); ok && quoted.Flags&FlagTruncated == 0 {
				n += len(l4[8:]) - len(inner) + 8
			}
		}
	}
	return min(n, len(b))
}

// LaneOf returns the lane that an event was recorded in.
func LaneOf(e *Event) Lane {
	switch e.Seam {
	case SeamTUNRead:
		return LaneTUNRead
	case SeamTUNWrite:
		return LaneTUNWrite
	case SeamUDPSend, SeamUDPReceive:
		switch e.Kind {
		case KindInitiation, KindResponse, KindCookie:
			if e.Reason != BadLength { // no handshake message then, but for its type
				return LaneControl
			}
		}
		if e.Seam == SeamUDPSend {
			return LaneUDPSend
		}
		return LaneUDPReceive
	case SeamForward:
		return LaneForward
	}
	return LaneControl
}
