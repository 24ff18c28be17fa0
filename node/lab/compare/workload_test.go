//go:build linux

package compare

import (
	"slices"
	"testing"
)

func TestParsePing(t *testing.T) {
	got, err := parsePing(`PING 10.7.0.2 (10.7.0.2) 56(84) bytes of data.
64 bytes from 10.7.0.2: icmp_seq=1 ttl=64 time=0.241 ms
64 bytes from 10.7.0.2: icmp_seq=3 ttl=64 time=12 ms

--- 10.7.0.2 ping statistics ---
3 packets transmitted, 2 received, 33.3333% packet loss, time 10ms
rtt min/avg/max/mdev = 0.241/6.120/12.000/5.879 ms
`)
	if want := []float64{0.241, 12}; err != nil || !slices.Equal(got, want) {
		t.Errorf("got %v, %v, want %v", got, err, want)
	}
	if _, err := parsePing("2 packets transmitted, 0 received"); err == nil {
		t.Error("no answer is no error")
	}
}

func TestParseWorkloads(t *testing.T) {
	if all, err := ParseWorkloads(""); err != nil || len(all) != len(Workloads) {
		t.Errorf("none named: %d, %v", len(all), err)
	}
	two, err := ParseWorkloads("loaded,tcp1")
	if err != nil || len(two) != 2 || two[0].Key != "loaded" || two[1].Key != "tcp1" {
		t.Errorf("two named: %v, %v", two, err)
	}
	if _, err := ParseWorkloads("tcp1,tcp9"); err == nil {
		t.Error("an unknown one is no error")
	}
}
