package lifecycle

import (
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

// The process in the background has every flag that up was given, and those it was not as they are.
func TestChildArgs(t *testing.T) {
	for _, c := range []struct {
		name  string
		given string
		want  string // behind run and the path
	}{
		{name: "none", want: "--netstack=false"},
		{name: "switches", given: "--explain -q --session-keys --no-history",
			want: "--explain --netstack=false --no-history --quiet --session-keys"},
		{name: "values", given: "--recorder 1 --stale-after 0s --log-level debug --log /var/log/wg0 --metrics 127.0.0.1:1",
			want: "--log /var/log/wg0 --log-level debug --metrics 127.0.0.1:1 --netstack=false --recorder 1"},
		{name: "several values", given: "--netstack --socks5 1080 --socks5 1081 --metrics-host a,b",
			want: "--metrics-host a,b --netstack=true --socks5 1080 --socks5 1081"},
	} {
		t.Run(c.name, func(t *testing.T) {
			f, args := parsed(t, c.given)
			got, err := f.childArgs("/etc/wireguard/wg0.conf")
			if err != nil {
				t.Fatal(err)
			}
			want := append([]string{"run", "/etc/wireguard/wg0.conf"}, strings.Fields(c.want)...)
			if !slices.Equal(got, want) {
				t.Errorf("%q: got %q, want %q", args, got, want)
			}
		})
	}
}

// What up hands on, run reads as the same; no flag of run is forgotten.
func TestChildReadsWhatUpHasRead(t *testing.T) {
	var given []string
	for _, flag := range newUpFlags().shared {
		value := map[string]string{"uint": "7", "string": "x", "stringArray": "x", "duration": "7s", "bool": "true"}[flag.Value.Type()]
		if value == "" {
			t.Errorf("--%s: a value of type %s is not tested", flag.Name, flag.Value.Type())
		}
		if flag.Name == "log" {
			value = "/x"
		}
		given = append(given, "--"+flag.Name+"="+value)
	}
	up, _ := parsed(t, strings.Join(given, " "))
	args, err := up.childArgs("/x.conf")
	if err != nil {
		t.Fatal(err)
	}
	run, _ := parsed(t, strings.Join(args[2:], " "))
	up.shared, run.shared = nil, nil
	if !reflect.DeepEqual(up, run) {
		t.Errorf("up has read %+v\nrun has read %+v", up, run)
	}
}

// parsed are the flags of a command line.
func parsed(t *testing.T, line string) (*upFlags, []string) {
	t.Helper()
	f, cmd := new(upFlags), &cobra.Command{}
	f.add(cmd)
	args := strings.Fields(line)
	if err := cmd.ParseFlags(args); err != nil {
		t.Fatal(err)
	}
	return f, args
}
