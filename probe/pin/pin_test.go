package pin

import (
	"strings"
	"testing"
)

type written struct {
	Name  string         `json:"name"`
	Inner []inner        `json:"inner,omitempty"`
	Drops map[string]int `json:"drops"`
}

type inner struct {
	Number int `json:"number,omitempty"`
}

type untagged struct{ Inner inner }

// forgetful does not read all that it writes.
type forgetful struct {
	Name string `json:"name"`
}

func (f *forgetful) UnmarshalJSON([]byte) error { return nil }

func TestLook(t *testing.T) {
	for _, test := range []struct {
		v       any
		list    string
		problem string
	}{
		{v: new(written), list: "pin.written\n\tdrops.key number\n\tinner[].number number\n\tname string\n"},
		{v: new(untagged), list: "pin.untagged\n\tInner.number number\n", problem: "a field of Inner.number has no tag"},
		{v: new(forgetful), list: "pin.forgetful\n\tname string\n", problem: "not read as it was written"},
	} {
		list, problems := look(test.v)
		if list != test.list {
			t.Errorf("%T: list %q, want %q", test.v, list, test.list)
		}
		if all := strings.Join(problems, "\n"); !strings.Contains(all, test.problem) || test.problem == "" && all != "" {
			t.Errorf("%T: %q, want %q", test.v, all, test.problem)
		}
	}
}

func TestLacks(t *testing.T) {
	want := values(t, []byte(`{"name":"wg0","peers":[{"id":1}]} {"old":true}`))
	same := values(t, []byte(`{"Name":"wg0","peers":[{"id":1,"new":7}],"schema":1} {"old":true}`))
	if lost := lacks(want, same, ""); len(lost) != 0 {
		t.Errorf("keys were added, and not %q", lost)
	}
	other := values(t, []byte(`{"name":"wg1","peers":[{"number":1}]} {}`))
	if lost := lacks(want, other, ""); len(lost) != 3 {
		t.Errorf("%q", lost)
	}
}
