package compare

import (
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
	Samples []Sample `json:"samples"`
	Rows    []Row    `json:"rows"` // filled in by Summarise
}

// Sample is one measurement.
type Sample struct {
	Round    int     `json:"round"`
	Entry    string  `json:"entry"`
	Workload string  `json:"workload"`
	Bytes    float64 `json:"bytes"`       // payload received
	Packets  float64 `json:"packets"`     // received; UDP only
	Lost     float64 `json:"lost"`        // packets sent but not received; UDP only
	Seconds  float64 `json:"seconds"`     // what it took
	CPU      float64 `json:"cpu_seconds"` // user and system time of both daemons
}

// metric is a figure computed from a sample of TCP, of UDP, or of either.
type metric struct {
	name, unit string
	tcp, udp   bool
	of         func(Sample) float64
}

var metrics = []metric{
	{"received", "Gbit/s", true, false, func(s Sample) float64 { return s.Bytes * 8 / s.Seconds / 1e9 }},
	{"received", "kpackets/s", false, true, func(s Sample) float64 { return s.Packets / s.Seconds / 1e3 }},
	{"CPU", "s/GB", true, true, func(s Sample) float64 { return s.CPU / (s.Bytes / 1e9) }},
}

// Row is a line of the table: one figure of one workload.
type Row struct {
	Workload string   `json:"workload"`
	Metric   string   `json:"metric"`
	Unit     string   `json:"unit"`
	Values   []Spread `json:"values"` // of the entries, in their order
	// Ratios are those of the entries but the first to the first, formed
	// within each round.
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

// row computes one line; it is false if the metric is not the workload's.
func (r *Report) row(workload string, m metric) (Row, bool) {
	row := Row{Workload: workload, Metric: m.name, Unit: m.unit}
	var base map[int]float64
	for i, e := range r.Entries {
		byRound := make(map[int]float64)
		var values, ratios []float64
		for _, s := range r.Samples {
			if s.Workload != workload || s.Entry != e.Name {
				continue
			}
			if isUDP := s.Packets > 0; isUDP && !m.udp || !isUDP && !m.tcp {
				return Row{}, false
			}
			v := m.of(s)
			byRound[s.Round] = v
			values = append(values, v)
			if b, ok := base[s.Round]; ok && b > 0 {
				ratios = append(ratios, v/b)
			}
		}
		row.Values = append(row.Values, spread(values))
		if i == 0 {
			base = byRound
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
		fmt.Fprintf(t, "\t%s / %s", e.Name, r.Entries[0].Name)
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
