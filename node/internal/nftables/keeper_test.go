//go:build linux

package nftables

import (
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// interferences are what another program may do to a table, as scripts for
// nft -f in which TABLE stands for it.
var interferences = []struct{ name, script, says string }{
	{"flush ruleset", "flush ruleset", "it is missing"},
	{"delete table", "delete table TABLE", "it is missing"},
	{"flush table", "flush table TABLE", "chain postrouting: all of its rules are gone"},
	{"flush chain", "flush chain TABLE postrouting", "chain postrouting: all of its rules are gone"},
	{"delete chain", "flush chain TABLE postrouting\ndelete chain TABLE postrouting", "chain postrouting is missing"},
	{"policy", "add chain TABLE postrouting { policy accept ; }", "chain postrouting has the policy accept"},
	{"dormant", "add table TABLE { flags dormant ; }", "it is dormant, which switches it off"},
	{"accept all", "insert rule TABLE postrouting accept", "chain postrouting: 1 rule was added: without a comment"},
	{"one more chain", "add chain TABLE more { type filter hook output priority 0 ; }\nadd rule TABLE more accept", "chain more was added"},
	{"one more set", "add set TABLE more { type ipv4_addr ; }", "set more was added"},
	{"another table of the name", `delete table TABLE
table TABLE {
	chain postrouting { type filter hook output priority 7 ; policy accept ; }
	chain other { }
}`, "chain postrouting is at another hook or priority"},
}

// What others do to a kill switch is found and put right, where they can do
// anything to it.
func TestKeeper(t *testing.T) {
	k := KillSwitch{Link: "wg0", Mark: 7, Excluded: prefixes("10.0.0.0/8", "192.0.2.0/24", "fd00::/8"), AllowLAN: true}
	for _, open := range []bool{true, false} {
		name := "owned"
		if open {
			name = "open"
		}
		t.Run(name, func(t *testing.T) {
			nft := ownNamespace(t)
			keeper := Keeper{Open: open}
			if err := keeper.AddKillSwitch(k); err != nil {
				t.Fatal(err)
			}
			nft("table ip others { chain c { type filter hook input priority 0; }; }", "-f", "-")
			before := nft("", "list", "table", "inet", k.Name())
			for _, i := range interferences {
				cmd := exec.Command("nft", "-f", "-")
				cmd.Stdin = strings.NewReader(strings.ReplaceAll(i.script, "TABLE", "inet "+k.Name()))
				out, err := cmd.CombinedOutput()
				if refused := err != nil; refused == (open || i.name == "flush ruleset") {
					t.Errorf("%s: %v\n%s", i.name, err, out)
				}
				restored, err := keeper.Restore()
				switch {
				case err != nil:
					t.Errorf("%s: %v", i.name, err)
				case open && (len(restored) != 1 || !restored[0].KillSwitch || !slices.Contains(restored[0].What, i.says)):
					t.Errorf("%s: it says %+v", i.name, restored)
				case !open && len(restored) > 0:
					t.Errorf("%s: restored %+v, which was not changed", i.name, restored)
				}
				if now := nft("", "list", "table", "inet", k.Name()); now != before {
					t.Errorf("%s: it is now\n%s", i.name, now)
				}
				if again, err := keeper.Restore(); err != nil || len(again) > 0 {
					t.Errorf("%s: then it says %+v, %v", i.name, again, err)
				}
			}
			if !open {
				var other Keeper
				err := other.DeleteKillSwitch("wg0")
				if err == nil || !strings.Contains(err.Error(), fmt.Sprintf("which process %d owns", os.Getpid())) {
					t.Errorf("another keeper deletes it: %v", err)
				}
			}
			// Another keeper takes it over from one that has ended.
			if err := keeper.Close(); err != nil {
				t.Fatal(err)
			}
			if now := nft("", "list", "table", "inet", k.Name()); !strings.Contains(now, "policy drop") {
				t.Errorf("without its keeper it is\n%s", now)
			}
			nft("flush chain inet "+k.Name()+" postrouting", "-f", "-")
			next := Keeper{Open: open}
			if err := next.AddKillSwitch(k); err != nil {
				t.Fatal(err)
			}
			if now := nft("", "list", "table", "inet", k.Name()); now != before {
				t.Errorf("taken over it is\n%s", now)
			}
			if err := next.DeleteKillSwitch("wg0"); err != nil {
				t.Error(err)
			}
		})
	}
}

// A full tunnel's table is put back, too; a gateway's is not, as it protects
// nothing.
func TestKeeperOfOthers(t *testing.T) {
	nft := ownNamespace(t)
	var keeper Keeper
	table := Table{Link: "wg0", Mark: 7, Addresses: []netip.Addr{netip.MustParseAddr("10.0.0.1")}}
	if err := keeper.AddTable(table); err != nil {
		t.Fatal(err)
	}
	before := nft("", "list", "ruleset")
	if err := keeper.AddGateway(Gateway{Link: "wg0"}); err != nil {
		t.Fatal(err)
	}
	nft("flush ruleset", "-f", "-")
	restored, err := keeper.Restore()
	if err != nil || len(restored) != 1 || restored[0].Table != "ip wg-quick-wg0" || restored[0].KillSwitch {
		t.Errorf("restored %+v, %v", restored, err)
	}
	if now := nft("", "list", "ruleset"); now != before {
		t.Errorf("it is now\n%s\nwas\n%s", now, before)
	}
}

// A change is told with who made it, and once for each table.
func TestWatch(t *testing.T) {
	nft := ownNamespace(t)
	changes := make(chan Change, 10)
	w, err := Watch(func(c Change) { changes <- c })
	if err != nil {
		t.Fatal(err)
	}
	nft("table inet a { chain c { }; }\ntable ip6 b { chain c { }; }", "-f", "-")
	got := []string{(<-changes).Table}
	second := <-changes
	got = append(got, second.Table)
	slices.Sort(got)
	if !slices.Equal(got, []string{"inet a", "ip6 b"}) || second.Program != "nft" || second.PID == 0 {
		t.Errorf("told of %v by %+v", got, second)
	}
	if err := w.Close(); err != nil {
		t.Error(err)
	}
}
