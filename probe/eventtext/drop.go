package eventtext

import (
	"strconv"
	"strings"

	"github.com/wgnode/wgnode/probe"
)

// Drop is what the kernel of this host says of a packet that it has dropped.
type Drop struct {
	Segment string `json:"segment"`          // "inner" or "outer"
	Place   string `json:"place,omitempty"`  // the kernel's function
	Hook    string `json:"hook,omitempty"`   // part of the path: "ingress", "prerouting", "input", ...
	Device  string `json:"device,omitempty"` // that it was at
	// Proven says that this reason at this place proves that the packet is lost. Else it is a
	// hint: packets of connections that work may have it, too.
	Proven  bool   `json:"proven"`
	Count   uint64 `json:"count"`              // of packets with this reason and place, since the watch began
	AtLeast bool   `json:"at_least,omitempty"` // there were more, of which the filter has seen nothing
}

// Where is the place, and the part of the path.
func (d *Drop) Where() string {
	var words []string
	if d.Place != "" {
		words = append(words, "in "+d.Place)
	}
	if d.Device != "" {
		words = append(words, "at "+d.Device)
	}
	where := strings.Join(words, ", ")
	if d.Hook != "" {
		where = strings.TrimSpace(where + " (" + d.Hook + ")")
	}
	return where
}

// AppendDropLine is [AppendLine] of a packet that the kernel has dropped: e has its headers,
// reason is the kernel's. It ends with DROP, or HINT if that is not proven, and how many there
// were.
func AppendDropLine(dst []byte, e *probe.Event, reason string, d *Drop, names Names, opt *Options) []byte {
	l := line{dst, opt}
	l.columns(e, "kernel", names)
	return AppendDropDetail(l.buf, e, reason, d, opt)
}

// AppendDropDetail appends what a line says behind the columns.
func AppendDropDetail(dst []byte, e *probe.Event, reason string, d *Drop, opt *Options) []byte {
	l := line{dst, opt}
	l.what(e)
	word, style := "DROP ", Red
	if !d.Proven {
		word, style = "HINT ", Yellow
	}
	l.buf = append(l.buf, ' ')
	l.buf = opt.Paint(l.buf, style, strings.TrimSpace(opt.Escape(word+reason+" "+d.Where())))
	if d.Count > 1 || d.AtLeast {
		count := strconv.FormatUint(d.Count, 10)
		if d.AtLeast {
			count += "+"
		}
		l.buf = opt.Paint(l.buf, Dim, " ("+count+")")
	}
	return l.buf
}

// AppendDropJSON is [AppendJSON] of a packet that the kernel has dropped.
func AppendDropJSON(dst []byte, e *probe.Event, reason string, d *Drop, names Names) []byte {
	o := object{buf: append(dst, '{')}
	o.head(e)
	o.name("kind", e.Kind.String())
	o.text("verdict", "dropped")
	o.text("reason", reason)
	o.peer(e, names)
	o.inner(e)
	o.outer(e)
	o.message(e)
	o.open("kernel")
	o.text("segment", d.Segment)
	o.name("place", d.Place)
	o.name("hook", d.Hook)
	o.name("device", d.Device)
	o.key("proven")
	o.buf = strconv.AppendBool(o.buf, d.Proven)
	o.number("count", d.Count)
	o.flag("at_least", d.AtLeast)
	o.close()
	return append(o.buf, '}')
}
