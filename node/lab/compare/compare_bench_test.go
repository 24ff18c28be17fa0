//go:build linux && bench

package compare_test

import (
	"flag"
	"os"
	"testing"

	"github.com/wgnode/wgnode/node/lab"
	"github.com/wgnode/wgnode/node/lab/compare"
)

var (
	entries []compare.Entry
	rounds  = flag.Int("rounds", 5, "rounds to measure")
	seconds = flag.Int("seconds", 4, "seconds of each of the four measurements in an entry's turn")
	out     = flag.String("report", "", "write all measurements to this `file`, as JSON")
)

func init() {
	flag.Func("entry", "a contestant, `name=daemon` or \"name=daemon & alongside\", with {} for the interface's name; "+
		"the first is what the others are compared to (default: wireguard-go, wgnode, its hooks over wireguard-go's bind, and wgnode with a watch that matches nothing)",
		func(text string) error {
			e, err := compare.ParseEntry(text)
			entries = append(entries, e)
			return err
		})
}

// TestCompare is no test but a measurement. Its result is what it prints.
func TestCompare(t *testing.T) {
	if len(entries) == 0 {
		entries = []compare.Entry{
			{Name: "wireguard-go", Daemon: compare.Command{lab.WireguardGo(t), "-f", "{}"}},
			{Name: "wgnode", Daemon: compare.Command{lab.Wgnode(t), "device", "-f", "{}"}},
			{Name: "stock bind", Daemon: compare.Command{lab.StockBind(t), "{}"}},
			{Name: "watched", Daemon: compare.Command{lab.Wgnode(t), "device", "-f", "{}"},
				Alongside: compare.Command{lab.Wgnode(t), "watch", "{}", "checkpoint", "B5"}},
		}
	}
	report := compare.Run(t, compare.Config{Entries: entries, Rounds: *rounds, Seconds: *seconds})
	if err := report.WriteTable(os.Stdout); err != nil {
		t.Fatal(err)
	}
	if *out == "" {
		return
	}
	file, err := os.Create(*out)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if err := report.WriteJSON(file); err != nil {
		t.Fatalf("write %s: %v", *out, err)
	}
}
