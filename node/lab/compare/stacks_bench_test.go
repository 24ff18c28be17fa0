//go:build linux && bench

package compare_test

import (
	"fmt"
	"os"
	"testing"

	"github.com/wgnode/wgnode/node/lab"
	"github.com/wgnode/wgnode/node/lab/compare"
)

func stackEntries(t *testing.T) (entries []compare.Entry) {
	for _, kind := range []string{"upstream", "netstack", "hooks"} {
		entries = append(entries, compare.Entry{Name: kind, Daemon: compare.Command{lab.StackEnd(t), kind}})
	}
	return entries
}

// TestCompareStacks is no test but a measurement. Its result is what it prints.
func TestCompareStacks(t *testing.T) {
	report := compare.RunStacks(t, compare.Config{Entries: stackEntries(t), Rounds: *rounds, Seconds: *seconds})
	if err := report.WriteTable(os.Stdout); err != nil {
		t.Fatal(err)
	}
}

// TestCompareStackCosts is no test either.
func TestCompareStackCosts(t *testing.T) {
	for _, c := range compare.StackCosts(t, stackEntries(t)) {
		fmt.Println(c)
	}
}
