package schema

import (
	"encoding/json"
	"testing"
)

// What holds a Version is written with the number, and read only with the same one.
func TestVersion(t *testing.T) {
	type report struct {
		Schema Version `json:"schema"`
		Text   string  `json:"text"`
	}
	b, err := json.Marshal(report{Text: "a"})
	if want := `{"schema":1,"text":"a"}`; err != nil || string(b) != want {
		t.Errorf("%s, %v, want %s", b, err, want)
	}
	for _, c := range []struct {
		text string
		ok   bool
	}{
		{text: `{"schema":1,"text":"a"}`, ok: true},
		{text: `{"text":"a"}`, ok: true}, // of a version before there was a number
		{text: `{"schema":2,"text":"a"}`},
		{text: `{"schema":"1","text":"a"}`},
	} {
		var r report
		if err := json.Unmarshal([]byte(c.text), &r); (err == nil) != c.ok {
			t.Errorf("%s: %v", c.text, err)
		}
	}
}
