package lifecycle

import "testing"

func TestHostPort(t *testing.T) {
	for text, want := range map[string]string{
		"server.corp.example:22": "server.corp.example:22", "10.0.0.2:22": "10.0.0.2:22", "[fd00::2]:22": "[fd00::2]:22",
		"fd00::2:22": "[fd00::2]:22", "fd00:1:2:3:4:5:6:7:22": "[fd00:1:2:3:4:5:6:7]:22", "fe80::1%eth0:22": "[fe80::1%eth0]:22",
		"server": "", "a:b:22": "", "10.0.0.2:22:22": "", "": "",
	} {
		got, ok := hostPort(text)
		if !ok {
			got = ""
		}
		if got != want {
			t.Errorf("%q is %q, want %q", text, got, want)
		}
	}
}
