package diagnose

import "github.com/wgnode/wgnode/probe"

// Errors joins the messages that carry ICMP errors with the errors: only the events of
// these say what an error is about. The zero value is none.
type Errors struct {
	carriers []carrier
	messages []probe.Event // of which it is not known what they carry
}

// carrier is the message that an error of the flow is in, by the seam that the message
// passes, and that which it has in common with the error.
type carrier struct {
	seam probe.Seam
	pair uint64
}

// errorsKept bounds how many are remembered of each.
const errorsKept = 16

// Inner takes an error of the flow into account, and returns the message that it came in
// if that was met before, else nil.
func (r *Errors) Inner(e *probe.Event) *probe.Event {
	c := carrier{probe.SeamUDPReceive, e.Pair}
	if e.Seam == probe.SeamTUNRead {
		c = carrier{probe.SeamUDPSend, e.Seq}
	}
	r.carriers = last(append(r.carriers, c))
	for i := range r.messages {
		if carrierOf(&r.messages[i]) == c {
			m := r.messages[i]
			return &m
		}
	}
	return nil
}

// Message takes a message into account that carries an error, and reports whether that is
// known to be one of the flow.
func (r *Errors) Message(e *probe.Event) bool {
	for _, c := range r.carriers {
		if carrierOf(e) == c {
			return true
		}
	}
	r.messages = last(append(r.messages, *e))
	return false
}

func carrierOf(m *probe.Event) carrier {
	if m.Seam == probe.SeamUDPReceive {
		return carrier{m.Seam, m.Seq}
	}
	return carrier{m.Seam, m.Pair}
}

func last[T any](all []T) []T { return all[max(len(all)-errorsKept, 0):] }
