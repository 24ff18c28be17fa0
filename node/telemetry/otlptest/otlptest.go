// Package otlptest receives what is sent by OTLP, for tests.
package otlptest

import (
	"cmp"
	"compress/gzip"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	coltrace "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	common "go.opentelemetry.io/proto/otlp/common/v1"
	"google.golang.org/protobuf/proto"
)

// Span is one that has come.
type Span struct {
	Instance, Host string // service.instance.id and host.name of who has sent it
	Trace          string
	ID, Parent     string
	Name, Error    string
	State          string
	Start, End     uint64
	Attrs          map[string]string
	Links          []string // "TRACE SPAN"
}

// Receiver takes spans by OTLP over HTTP. Its zero value is ready, and safe for concurrent use.
type Receiver struct {
	// Status, if not 0, is what every request is answered with.
	Status atomic.Int32

	mu    sync.Mutex
	spans []Span
}

// ServeHTTP implements [http.Handler].
func (r *Receiver) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	if status := r.Status.Load(); status != 0 {
		w.WriteHeader(int(status))
		return
	}
	body, err := Body(req)
	if err == nil && req.URL.Path == "/v1/traces" {
		err = r.take(body)
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
	}
}

// Body reads what a request has sent, unpacked.
func Body(req *http.Request) ([]byte, error) {
	if req.Header.Get("Content-Encoding") != "gzip" {
		return io.ReadAll(req.Body)
	}
	z, err := gzip.NewReader(req.Body)
	if err != nil {
		return nil, fmt.Errorf("unpack a request: %w", err)
	}
	return io.ReadAll(z)
}

func (r *Receiver) take(body []byte) error {
	var got coltrace.ExportTraceServiceRequest
	if err := proto.Unmarshal(body, &got); err != nil {
		return fmt.Errorf("read traces: %w", err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, of := range got.ResourceSpans {
		who := attributes(of.Resource.GetAttributes())
		for _, scope := range of.ScopeSpans {
			for _, s := range scope.Spans {
				one := Span{Instance: who["service.instance.id"], Host: who["host.name"], Trace: hex.EncodeToString(s.TraceId),
					ID: hex.EncodeToString(s.SpanId), Parent: hex.EncodeToString(s.ParentSpanId), Name: s.Name, Error: s.Status.GetMessage(),
					State: s.TraceState, Start: s.StartTimeUnixNano, End: s.EndTimeUnixNano, Attrs: attributes(s.Attributes)}
				for _, l := range s.Links {
					one.Links = append(one.Links, hex.EncodeToString(l.TraceId)+" "+hex.EncodeToString(l.SpanId))
				}
				r.spans = append(r.spans, one)
			}
		}
	}
	return nil
}

func attributes(list []*common.KeyValue) map[string]string {
	all := make(map[string]string)
	for _, a := range list {
		if n, ok := a.Value.GetValue().(*common.AnyValue_IntValue); ok {
			all[a.Key] = fmt.Sprint(n.IntValue)
		} else {
			all[a.Key] = a.Value.GetStringValue()
		}
	}
	return all
}

// Spans are all that have come.
func (r *Receiver) Spans() []Span {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.spans)
}

// Trees draws the traces of which a span satisfies about, each span below its parent and siblings in
// the order of their times, one trace after the other.
func Trees(spans []Span, about func(*Span) bool) []string {
	var ids []string
	for i := range spans {
		if s := &spans[i]; about(s) && !slices.Contains(ids, s.Trace) {
			ids = append(ids, s.Trace)
		}
	}
	var trees []string
	for _, id := range ids {
		var one []Span
		for i := range spans {
			if spans[i].Trace == id {
				one = append(one, spans[i])
			}
		}
		trees = append(trees, tree(one))
	}
	return trees
}

// tree draws one trace.
func tree(spans []Span) string {
	slices.SortStableFunc(spans, func(a, b Span) int { return cmp.Compare(a.Start, b.Start) })
	known := make(map[string]bool)
	for i := range spans {
		known[spans[i].ID] = true
	}
	var b strings.Builder
	var draw func(parent string, depth int)
	draw = func(parent string, depth int) {
		for i := range spans {
			s := &spans[i]
			root := depth == 0 && !known[s.Parent]
			if !root && (depth == 0 || s.Parent != parent) {
				continue
			}
			fmt.Fprintf(&b, "%s%s %s", strings.Repeat("  ", depth), s.Host, s.Name)
			if root && s.Parent != "" {
				b.WriteString(" (its parent is missing)")
			}
			if s.Error != "" {
				b.WriteString(" ! " + s.Error)
			}
			b.WriteByte('\n')
			draw(s.ID, depth+1)
		}
	}
	draw("", 0)
	return b.String()
}
