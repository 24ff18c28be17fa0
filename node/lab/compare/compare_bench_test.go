//go:build linux && bench

package compare_test

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/wgnode/wgnode/node/lab"
	"github.com/wgnode/wgnode/node/lab/compare"
)

var (
	entries []compare.Entry
	names   = flag.String("contestants", "wireguard-go,wgnode,watched,tailscale",
		"who takes part, if no -entry says so; others are stockbind, wgnode's hooks over wireguard-go's bind, and profiled, "+
			"which writes CPU profiles")
	profiles   = flag.String("profiles", "", "the `folder` that profiled writes into")
	rounds     = flag.Int("rounds", 6, "rounds to measure")
	seconds    = flag.Int("seconds", 3, "seconds of each measurement")
	workloads  = flag.String("workloads", "", "workloads, as tcp1,tcp1back,tcp4,tcp4back,udp64,udp1300,idle,loaded (default: all)")
	axes       = flag.String("axes", "size,flows,peers", "what the plots vary")
	plotRounds = flag.Int("plotrounds", 2, "rounds to measure for the plots")
	out        = flag.String("report", "", "write all measurements to this `file`.json, and those of the plots to FILE.plot.json")
	svg        = flag.String("svg", "", "draw the plots into this `file`")
)

func init() {
	flag.Func("entry", "a contestant, `name=daemon` or \"name=daemon & alongside\", with {} for the interface's name; "+
		"the first is what the others are compared to",
		func(text string) error {
			e, err := compare.ParseEntry(text)
			entries = append(entries, e)
			return err
		})
}

// contestants returns who takes part.
func contestants(t *testing.T) []compare.Entry {
	if len(entries) > 0 {
		return entries
	}
	var chosen []compare.Entry
	for name := range strings.SplitSeq(*names, ",") {
		e := compare.Entry{Name: name}
		switch name {
		case "wireguard-go":
			e.Daemon = compare.Command{lab.WireguardGo(t), "-f", "{}"}
		case "wgnode":
			e.Daemon = compare.Command{lab.Wgnode(t), "device", "-f", "{}"}
		case "watched":
			e.Daemon = compare.Command{lab.Wgnode(t), "device", "-f", "{}"}
			e.Against = "wgnode"
			e.Alongside = compare.Command{"sh", "-c", "exec " + lab.Wgnode(t) + " watch {} --every 100 >/dev/null"}
		case "stockbind":
			e.Daemon = compare.Command{lab.Measured(t), "-stockbind", "{}"}
		case "profiled":
			e.Daemon = compare.Command{lab.Measured(t), "-cpuprofile", *profiles, "{}"}
		case "tailscale":
			program, err := tailscale(t)
			if err != nil {
				t.Logf("without Tailscale's fork, which cannot be built: %v", err)
				continue
			}
			e.Daemon = compare.Command{program, "-f", "{}"}
		default:
			t.Fatalf("contestant %q: want wireguard-go, wgnode, watched, tailscale, stockbind or profiled", name)
		}
		if !slices.ContainsFunc(chosen, func(c compare.Entry) bool { return c.Name == e.Against }) {
			e.Against = ""
		}
		chosen = append(chosen, e)
	}
	return chosen
}

// tailscale builds Tailscale's fork of wireguard-go from its own module.
func tailscale(t *testing.T) (string, error) {
	program := filepath.Join(t.TempDir(), "wireguard-go")
	cmd := exec.Command("go", "build", "-o", program, "github.com/tailscale/wireguard-go")
	cmd.Dir = "tailscale"
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("%w\n%s", err, out)
	}
	return program, nil
}

// TestCompare is no test but a measurement. Its result is what it prints.
func TestCompare(t *testing.T) {
	chosen, err := compare.ParseWorkloads(*workloads)
	if err != nil {
		t.Fatal(err)
	}
	report := compare.Run(t, compare.Config{Entries: contestants(t), Workloads: chosen, Rounds: *rounds, Seconds: *seconds})
	if err := report.WriteTable(os.Stdout); err != nil {
		t.Fatal(err)
	}
	if *out != "" {
		write(t, *out, func(f *os.File) error { return report.WriteJSON(f) })
	}
}

// TestPlot measures what the plots show.
func TestPlot(t *testing.T) {
	report := compare.Report{Entries: contestants(t), Rounds: *plotRounds, Seconds: *seconds}
	for key := range strings.SplitSeq(*axes, ",") {
		i := slices.IndexFunc(compare.Axes, func(a compare.Axis) bool { return a.Key == key })
		if i < 0 {
			t.Fatalf("axis %q: want size, flows or peers", key)
		}
		report.Plots = append(report.Plots, compare.RunPlot(t, report.Entries, compare.Axes[i], *plotRounds, *seconds))
	}
	for _, p := range report.Plots {
		if err := p.WriteTable(os.Stdout); err != nil {
			t.Fatal(err)
		}
	}
	if *out != "" {
		write(t, strings.TrimSuffix(*out, ".json")+".plot.json", func(f *os.File) error { return report.WriteJSON(f) })
	}
	if *svg != "" {
		write(t, *svg, func(f *os.File) error { return compare.WriteSVG(f, report.Plots) })
	}
}

// write makes a file, and the folder that it is in.
func write(t *testing.T, path string, content func(*os.File) error) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	file, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if err := content(file); err != nil {
		t.Fatalf("write %s: %v", path, err)
	}
}
