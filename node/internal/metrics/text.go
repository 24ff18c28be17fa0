package metrics

import (
	"bytes"
	"cmp"
	"compress/gzip"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// family is a metric with all its labels.
type family struct {
	desc   *prometheus.Desc
	kind   prometheus.ValueType
	name   string
	head   string   // of its text: help and type
	labels []string // `name="`
	order  []int    // of labels in the text: by name
}

// emit writes down one series of a family; values are those of its labels.
type emit func(f *family, v float64, values ...string)

func counter(name, help string, labels ...string) *family {
	return newFamily(prometheus.CounterValue, "counter", name, help, labels)
}

func gauge(name, help string, labels ...string) *family {
	return newFamily(prometheus.GaugeValue, "gauge", name, help, labels)
}

func newFamily(kind prometheus.ValueType, word, name, help string, labels []string) *family {
	f := &family{desc: prometheus.NewDesc(name, help, labels, nil), kind: kind, name: name,
		head: "# HELP " + name + " " + help + "\n# TYPE " + name + " " + word + "\n"}
	for i, label := range labels {
		f.labels, f.order = append(f.labels, label+`="`), append(f.order, i)
	}
	slices.SortFunc(f.order, func(a, b int) int { return cmp.Compare(labels[a], labels[b]) })
	return f
}

func describe(to chan<- *prometheus.Desc, families []*family) {
	for _, f := range families {
		to <- f.desc
	}
}

func emitTo(to chan<- prometheus.Metric) emit {
	return func(f *family, v float64, values ...string) {
		to <- prometheus.MustNewConstMetric(f.desc, f.kind, v, values...)
	}
}

// text is metrics in the text format of Prometheus, each family for itself.
type text map[*family]*bytes.Buffer

func (t text) emit(f *family, v float64, values ...string) {
	b := t[f]
	if b == nil {
		b = new(bytes.Buffer)
		t[f] = b
	}
	if b.Len() == 0 {
		b.WriteString(f.head)
	}
	b.WriteString(f.name)
	separator := byte('{')
	for _, i := range f.order {
		b.WriteByte(separator)
		b.WriteString(f.labels[i])
		if strings.ContainsAny(values[i], "\\\"\n") {
			_, _ = escapes.WriteString(b, values[i]) // a buffer takes all
		} else {
			b.WriteString(values[i])
		}
		b.WriteByte('"')
		separator = ','
	}
	b.WriteString("} ")
	b.Write(append(strconv.AppendFloat(b.AvailableBuffer(), v, 'g', -1, 64), '\n'))
}

var escapes = strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`)

// write writes the families in the order of their names.
func (t text) write(w io.Writer) error {
	families := make([]*family, 0, len(t))
	for f := range t {
		families = append(families, f)
	}
	slices.SortFunc(families, func(a, b *family) int { return cmp.Compare(a.name, b.name) })
	for _, f := range families {
		if _, err := w.Write(t[f].Bytes()); err != nil {
			return err
		}
	}
	return nil
}

// Handler answers a scrape with the metrics of a tunnel, its verdicts, and those of others.
// Who asks for text, as all do by default, gets that of the tunnel without the detour by
// the library's structs, which for ten thousand peers take a second and 200 MB. At most
// limit are answered at a time.
func Handler(c *Collector, v *Verdicts, others []prometheus.Collector, limit int) (http.Handler, error) {
	rest, all := prometheus.NewRegistry(), prometheus.NewRegistry()
	for _, o := range others {
		if err := rest.Register(o); err != nil {
			return nil, err
		}
	}
	for _, o := range append([]prometheus.Collector{c, v}, others...) {
		if err := all.Register(o); err != nil {
			return nil, err
		}
	}
	s := &scraped{c: c, v: v, turns: make(chan struct{}, limit),
		rest: promhttp.HandlerFor(rest, promhttp.HandlerOpts{DisableCompression: true}),
		all:  promhttp.HandlerFor(all, promhttp.HandlerOpts{})}
	return s, nil
}

type scraped struct {
	c         *Collector
	v         *Verdicts
	turns     chan struct{}
	texts     sync.Pool // of text: megabytes, if there are many peers
	rest, all http.Handler
}

func (s *scraped) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	select {
	case s.turns <- struct{}{}:
		defer func() { <-s.turns }()
	default:
		http.Error(w, "as many scrapes as can be are under way", http.StatusServiceUnavailable)
		return
	}
	rest := &answer{header: make(http.Header), status: http.StatusOK}
	s.rest.ServeHTTP(rest, r)
	if rest.status != http.StatusOK || r.URL.RawQuery != "" || !strings.HasPrefix(rest.header.Get("Content-Type"), "text/plain") {
		s.all.ServeHTTP(w, r)
		return
	}
	own, ok := s.texts.Get().(text)
	if !ok {
		own = make(text)
	}
	defer func() {
		for _, b := range own {
			b.Reset()
		}
		s.texts.Put(own)
	}()
	if err := s.c.write(own.emit); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	s.v.write(own.emit)
	w.Header().Set("Content-Type", rest.header.Get("Content-Type"))
	body := io.Writer(w)
	if acceptsGzip(r) {
		w.Header().Set("Content-Encoding", "gzip")
		// The text repeats itself: better compression takes four times as long, for little.
		z, err := gzip.NewWriterLevel(w, gzip.BestSpeed)
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		defer z.Close() // who does not take it all has gone
		body = z
	}
	if _, err := body.Write(rest.body.Bytes()); err == nil {
		_ = own.write(body) // as above
	}
}

func acceptsGzip(r *http.Request) bool {
	for _, accepted := range r.Header.Values("Accept-Encoding") {
		for one := range strings.SplitSeq(accepted, ",") {
			name, quality, _ := strings.Cut(strings.ReplaceAll(one, " ", ""), ";")
			if name == "gzip" && quality != "q=0" {
				return true
			}
		}
	}
	return false
}

// answer keeps what a handler answers.
type answer struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (a *answer) Header() http.Header         { return a.header }
func (a *answer) WriteHeader(status int)      { a.status = status }
func (a *answer) Write(b []byte) (int, error) { return a.body.Write(b) }
