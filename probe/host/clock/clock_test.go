//go:build linux

package clock

import (
	"testing"
	"time"
)

func TestRead(t *testing.T) {
	before := time.Now()
	first, err := Read()
	if err != nil {
		t.Skip(err)
	}
	second, err := Read()
	if err != nil {
		t.Fatal(err)
	}
	if first.Wall.Before(before) || second.Wall.Before(first.Wall) || first.Monotonic <= 0 || second.Monotonic < first.Monotonic {
		t.Errorf("%+v, then %+v, begun at %v", first, second, before)
	}
	if first.MaxError < 0 || !first.Synchronized && first.MaxError != 0 {
		t.Errorf("synchronized %v, to %v", first.Synchronized, first.MaxError)
	}
}
