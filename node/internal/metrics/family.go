package metrics

import (
	"cmp"
	"net/http"
	"slices"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	dto "github.com/prometheus/client_model/go"
)

// family is a metric with all its labels.
type family struct {
	desc   *prometheus.Desc
	kind   prometheus.ValueType
	name   string
	help   string
	labels []string
	order  []int // of labels in what is answered: by name
}

// emit writes down one series of a family; values are those of its labels.
type emit func(f *family, v float64, values ...string)

// families are all that there are, for the page that lists them.
var families []*family

func counter(name, help string, labels ...string) *family {
	return newFamily(prometheus.CounterValue, name, help, labels)
}

func gauge(name, help string, labels ...string) *family {
	return newFamily(prometheus.GaugeValue, name, help, labels)
}

func newFamily(kind prometheus.ValueType, name, help string, labels []string) *family {
	f := &family{desc: prometheus.NewDesc(name, help, labels, nil), kind: kind, name: name, help: help, labels: labels}
	for i := range labels {
		f.order = append(f.order, i)
	}
	slices.SortFunc(f.order, func(a, b int) int { return cmp.Compare(labels[a], labels[b]) })
	families = append(families, f)
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

// gathered is what a scrape has of each family, in the form in which the library writes it down.
type gathered map[*family]*dto.MetricFamily

// one is a series in one piece of memory: a hub has a hundred thousand of them.
type one struct {
	dto.Metric
	counter dto.Counter
	gauge   dto.Gauge
	value   float64
	pairs   [maxLabels]dto.LabelPair
	labels  [maxLabels]*dto.LabelPair
	values  [maxLabels]string
}

// maxLabels is how many labels a family of a tunnel has, at most.
const maxLabels = 5

func (g gathered) emit(f *family, v float64, values ...string) {
	all := g[f]
	if all == nil {
		kind := dto.MetricType_GAUGE
		if f.kind == prometheus.CounterValue {
			kind = dto.MetricType_COUNTER
		}
		all = &dto.MetricFamily{Name: &f.name, Help: &f.help, Type: &kind}
		g[f] = all
	}
	m := &one{value: v}
	copy(m.values[:], values)
	for at, i := range f.order {
		m.pairs[at].Name, m.pairs[at].Value = &f.labels[i], &m.values[i]
		m.labels[at] = &m.pairs[at]
	}
	m.Label = m.labels[:len(f.order)]
	if f.kind == prometheus.CounterValue {
		m.counter.Value, m.Counter = &m.value, &m.counter
	} else {
		m.gauge.Value, m.Gauge = &m.value, &m.gauge
	}
	all.Metric = append(all.Metric, &m.Metric)
}

// scraped gathers what a scrape is answered.
type scraped struct {
	c    *Collector
	v    *Verdicts
	rest prometheus.Gatherer
}

// Gather implements [prometheus.Gatherer].
func (s *scraped) Gather() ([]*dto.MetricFamily, error) {
	families, err := s.rest.Gather()
	if err != nil {
		return families, err
	}
	own := make(gathered)
	if err := s.c.write(own.emit); err != nil {
		return families, err
	}
	s.v.write(own.emit)
	for _, f := range own {
		families = append(families, f)
	}
	slices.SortFunc(families, func(a, b *dto.MetricFamily) int { return cmp.Compare(a.GetName(), b.GetName()) })
	return families, nil
}

// Handler answers a scrape with the metrics of a tunnel, its verdicts, and those of others. The
// tunnel's go to the library in the form in which it writes them down: a registry has each series
// made, sorted and compared with all others first, which for ten thousand peers takes a second
// and 200 MB. A test holds what is answered against what a registry has. At most limit are
// answered at a time.
func Handler(c *Collector, v *Verdicts, others []prometheus.Collector, limit int) (http.Handler, error) {
	all, err := Gatherer(c, v, others)
	if err != nil {
		return nil, err
	}
	return promhttp.HandlerFor(all, promhttp.HandlerOpts{MaxRequestsInFlight: limit}), nil
}

// Gatherer has what [Handler] answers.
func Gatherer(c *Collector, v *Verdicts, others []prometheus.Collector) (prometheus.Gatherer, error) {
	rest := prometheus.NewRegistry()
	for _, o := range others {
		if err := rest.Register(o); err != nil {
			return nil, err
		}
	}
	return &scraped{c, v, rest}, nil
}
