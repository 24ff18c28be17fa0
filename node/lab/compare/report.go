package compare

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"text/tabwriter"
)

// Report is what [Run] has measured.
type Report struct {
	Machine string   `json:"machine"` // kernel, architecture, number of CPUs
	Entries []Entry  `json:"entries"`
	Rounds  int      `json:"rounds"`
	Seconds int      `json:"seconds"` // of each measurement
	Samples []Sample `json:"samples,omitempty"`
	Rows    []Row    `json:"rows,omitempty"` // filled in by Summarise
	Plots   []Plot   `json:"plots,omitempty"`
}

// Sample is one measurement. What a workload does not measure is 0.
type Sample struct {
	Round    int     `json:"round"`
	Entry    string  `json:"entry"`
	Workload string  `json:"workload"`
	Bytes    float64 `json:"bytes,omitempty"`   // payload received
	Packets  float64 `json:"packets,omitempty"` // received; UDP only
	Lost     float64 `json:"lost,omitempty"`    // packets sent but not received; UDP and ping
	P50      float64 `json:"p50_ms,omitempty"`  // round trips
	P99      float64 `json:"p99_ms,omitempty"`
	Seconds  float64 `json:"seconds,omitempty"`     // what it took
	CPU      float64 `json:"cpu_seconds,omitempty"` // user and system time of both daemons
	Memory   float64 `json:"peak_bytes,omitempty"`  // resident, of both daemons
}

// metric is a figure computed from those samples that have it.
type metric struct {
	name, unit string
	has        func(Sample) bool
	of         func(Sample) float64
}

var metrics = []metric{
	{"received", "Gbit/s", func(s Sample) bool { return s.Bytes > 0 && s.Packets == 0 }, Sample.gigabits},
	{"received", "kpackets/s", func(s Sample) bool { return s.Packets > 0 }, func(s Sample) float64 { return s.Packets / s.Seconds / 1e3 }},
	{"CPU", "s/GB", func(s Sample) bool { return s.Bytes > 0 && s.CPU > 0 }, func(s Sample) float64 { return s.CPU / (s.Bytes / 1e9) }},
	{"p50", "ms", func(s Sample) bool { return s.P50 > 0 }, func(s Sample) float64 { return s.P50 }},
	{"p99", "ms", func(s Sample) bool { return s.P99 > 0 }, func(s Sample) float64 { return s.P99 }},
	{"memory", "MB", func(s Sample) bool { return s.Memory > 0 }, func(s Sample) float64 { return s.Memory / 1e6 }},
}

func (s Sample) gigabits() float64 { return s.Bytes * 8 / s.Seconds / 1e9 }

// Row is a line of the table: one figure of one workload.
type Row struct {
	Workload string   `json:"workload"`
	Metric   string   `json:"metric"`
	Unit     string   `json:"unit"`
	Values   []Spread `json:"values"` // of the entries, in their order
	// Ratios are those of the entries but the first to the first, or what they
	// are compared to, formed within each round.
	Ratios []Spread `json:"ratios"`
}

// Spread sums the rounds up.
type Spread struct {
	Median float64 `json:"median"`
	Min    float64 `json:"min"`
	Max    float64 `json:"max"`
}

// spread returns the zero Spread for no values.
func spread(values []float64) Spread {
	if len(values) == 0 {
		return Spread{}
	}
	v := slices.Sorted(slices.Values(values))
	half := len(v) / 2
	median := v[half]
	if len(v)%2 == 0 {
		median = (v[half-1] + v[half]) / 2
	}
	return Spread{Median: median, Min: v[0], Max: v[len(v)-1]}
}

// Summarise computes the rows from the samples. A round in which an entry was
// not measured counts for neither that entry nor its ratio.
func (r *Report) Summarise() {
	r.Rows = nil
	var workloads []string
	for _, s := range r.Samples {
		if !slices.Contains(workloads, s.Workload) {
			workloads = append(workloads, s.Workload)
		}
	}
	for _, w := range workloads {
		for _, m := range metrics {
			if row, ok := r.row(w, m); ok {
				r.Rows = append(r.Rows, row)
			}
		}
	}
}

// against returns the name of the entry that e is compared to.
func (r *Report) against(e Entry) string { return cmp.Or(e.Against, r.Entries[0].Name) }

// row computes one line; it is false if the metric is not the workload's.
func (r *Report) row(workload string, m metric) (Row, bool) {
	row := Row{Workload: workload, Metric: m.name, Unit: m.unit}
	measured := make(map[string]map[int]float64) // by entry and round
	for i, e := range r.Entries {
		byRound := make(map[int]float64)
		measured[e.Name] = byRound
		var values, ratios []float64
		for _, s := range r.Samples {
			if s.Workload != workload || s.Entry != e.Name {
				continue
			}
			if !m.has(s) {
				return Row{}, false
			}
			v := m.of(s)
			byRound[s.Round] = v
			values = append(values, v)
			if b := measured[r.against(e)][s.Round]; i > 0 && b > 0 {
				ratios = append(ratios, v/b)
			}
		}
		row.Values = append(row.Values, spread(values))
		if i == 0 {
			continue
		}
		row.Ratios = append(row.Ratios, spread(ratios))
	}
	return row, true
}

// WriteTable prints the rows for people: medians, with the least and the
// greatest of the rounds in brackets.
func (r *Report) WriteTable(w io.Writer) error {
	fmt.Fprintf(w, "%s; %d rounds of %d s\n\n", r.Machine, r.Rounds, r.Seconds)
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprint(t, "workload\tmetric\tunit")
	for _, e := range r.Entries {
		fmt.Fprintf(t, "\t%s", e.Name)
	}
	for _, e := range r.Entries[1:] {
		fmt.Fprintf(t, "\t%s / %s", e.Name, r.against(e))
	}
	fmt.Fprintln(t)
	for _, row := range r.Rows {
		fmt.Fprintf(t, "%s\t%s\t%s", row.Workload, row.Metric, row.Unit)
		for _, v := range slices.Concat(row.Values, row.Ratios) {
			fmt.Fprintf(t, "\t%.3g [%.3g-%.3g]", v.Median, v.Min, v.Max)
		}
		fmt.Fprintln(t)
	}
	return t.Flush()
}

// WriteJSON prints everything for programs.
func (r *Report) WriteJSON(w io.Writer) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "\t")
	return e.Encode(r)
}
