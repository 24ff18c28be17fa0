package filter_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/wgnode/wgnode/probe/filter"
)

var kernelReasons = []string{"CONSUMED", "NETFILTER_DROP", "TC_EGRESS", "TC_INGRESS"}

// A filter of drops asks for headers as any other does, and for the kernel's reasons.
func TestDrops(t *testing.T) {
	for _, tt := range []struct {
		filter, event, reason string
		want                  bool
	}{
		{"", "request", "TC_EGRESS", true},
		{"reason TC_EGRESS", "request", "TC_EGRESS", true},
		{"reason tc_egress,tc_ingress", "request", "TC_INGRESS", true},
		{"TC_EGRESS reason TC_INGRESS", "request", "TC_INGRESS", true},
		{"TC_EGRESS", "request", "NETFILTER_DROP", false},
		{"not netfilter_drop", "request", "NETFILTER_DROP", false},
		{"not reason NETFILTER_DROP,TC_INGRESS", "request", "TC_EGRESS", true},
		{"tcp port 80 TC_EGRESS", "request", "TC_EGRESS", true},
		{"udp TC_EGRESS", "request", "TC_EGRESS", false},
		{"peer alice inner", "request", "TC_EGRESS", true},
		{"outer dst port 51822", "hello", "TC_EGRESS", true},
		{"handshake", "hello", "TC_EGRESS", true},
	} {
		f, err := filter.CompileDrops([]string{tt.filter}, peers, kernelReasons)
		if err != nil {
			t.Errorf("%q: %v", tt.filter, err)
			continue
		}
		e := events[tt.event]
		if got := f.Match(&e, tt.reason); got != tt.want {
			t.Errorf("%q matches %s with %s: %v", tt.filter, tt.event, tt.reason, got)
		}
	}
	var none *filter.Drops
	if !none.Match(nil, "TC_EGRESS") {
		t.Error("no filter matches nothing")
	}
	if _, err := filter.CompileDrops([]string{"reason any_name", "OTHER_NAME"}, peers, nil); err != nil {
		t.Errorf("where the kernel's reasons are not known: %v", err)
	}
}

func TestDropsErrors(t *testing.T) {
	for words, want := range map[string]string{
		"checkpoint A1": `filter, word 2: a packet that the kernel has dropped has no checkpoint: ` +
			"\"checkpoint\" is for `wgnode watch`",
		"tcp dropped":           "has no verdict",
		"in":                    "has no direction",
		"reason NETFILTER_DORP": `filter, word 2: unknown reason "NETFILTER_DORP": did you mean "NETFILTER_DROP"? want one of the kernel's`,
		"reason no-endpoint":    `unknown reason "no-endpoint": want one of the kernel's`,
		"no-endpoint":           `unknown reason "no-endpoint"`,
		"TC_EGRES":              `unknown word "TC_EGRES": did you mean "TC_EGRESS"? want an address`,
		"peer mallory":          "no peer has this name",
	} {
		if _, err := filter.CompileDrops([]string{words}, peers, kernelReasons); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", words, err, want)
		}
	}
}

func TestCompleteDrops(t *testing.T) {
	for _, tt := range []struct{ args, word, want string }{
		{"", "", "CONSUMED NETFILTER_DROP TC_EGRESS TC_INGRESS"},
		{"", "tc", "TC_EGRESS TC_INGRESS tcp"},
		{"reason", "TC_", "TC_EGRESS TC_INGRESS"},
		{"reason", "TC_EGRESS,n", "TC_EGRESS,NETFILTER_DROP"},
		{"", "che", ""},
		{"", "dropp", ""},
		{"outer", "TC", ""},
		{"kind", "hand", "handshake"},
		{"", "no", "not"},
	} {
		got := filter.CompleteDrops(strings.Fields(tt.args), tt.word, kernelReasons)
		slices.Sort(got)
		if tt.args+tt.word == "" {
			got = slices.DeleteFunc(got, func(w string) bool { return !slices.Contains(kernelReasons, w) })
		}
		if strings.Join(got, " ") != tt.want {
			t.Errorf("%q, %q: %q, want %q", tt.args, tt.word, got, tt.want)
		}
	}
}
