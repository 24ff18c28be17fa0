package config

import (
	"bytes"
	"errors"
	"reflect"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/BurntSushi/toml"
	"github.com/google/go-cmp/cmp"
)

// The places that the scanner finds are those that the library decodes.
func FuzzPlaces(f *testing.F) {
	f.Add(fullTOML)
	f.Add("a = {b = [1, {c = 'x'}], d.e = \"\"\"\"\"\\\"\"\"\"\"\"}\n[[x]]\n[x.y]\nz=1\n[[x]]\n[[x.w]]\n[[x.w]]\n" +
		"'' = 1979-05-27 07:32:00 # }\n")
	f.Fuzz(func(t *testing.T, text string) {
		var root map[string]any
		if _, err := toml.Decode(text, &root); err != nil || !utf8.ValidString(text) || strings.HasPrefix(text, "\ufeff") {
			return // marks of the encoding at the beginning come to no scanner
		}
		at, _ := places(text)
		placed(t, text, root, at)
	})
}

func placed(t *testing.T, text string, v any, at *place) {
	if at.line < 1 || at.line > strings.Count(text, "\n")+1 {
		t.Errorf("line %d of %q", at.line, text)
	}
	if table, ok := v.(map[string]any); ok {
		for k, inner := range table {
			if at.keys[k] == nil {
				t.Fatalf("%q: key %q is nowhere", text, k)
			}
			placed(t, text, inner, at.keys[k])
		}
		return
	}
	array, _ := items(v)
	if len(array) != len(at.items) {
		t.Fatalf("%q: %d items, and %d places", text, len(array), len(at.items))
	}
	for i, item := range array {
		placed(t, text, item, at.items[i])
	}
}

func FuzzParseTOML(f *testing.F) {
	const secret = "mJ8Vq3Lw0Zt7Yb2Xc9Nd4Ke6Rf1Ga5Hs+Uo/PiQzTlA="
	f.Add(fullTOML)
	f.Add("[interface]\nprivate_key = \"@\"\npost_up = ['a', \"\"\"\nb\\\n  c\"\"\"]\ndns = [\"::1%x\"]\nsearch = ['é']\n")
	f.Add("peer = [{public_key = \"@\", allowed_ips = ['-10.0.0.0/8', \"::1\"], endpoint = 'a:1'}]\n\"@\" = @")
	f.Fuzz(func(t *testing.T, text string) {
		// Whatever happens around it, the key is not shown.
		text = strings.ReplaceAll(text, "@", secret)
		c, err := ParseTOML(strings.NewReader(text), "/etc/wireguard/wg0.toml")
		if err != nil {
			var es Errors
			if !errors.As(err, &es) {
				t.Fatalf("not an Errors: %v", err)
			}
			for _, e := range es {
				if last := strings.Count(text, "\n") + 1; e.Line < 1 || e.Line > last {
					t.Errorf("%v: not one of the %d lines", e, last)
				}
			}
			if leaked := leak(err.Error(), secret); leaked != "" {
				t.Errorf("%v holds %q of the key", err, leaked)
			}
			return
		}
		again, err := ParseTOML(strings.NewReader(written(t, c.WriteTOML)), "/etc/wireguard/wg0.toml")
		if err != nil {
			t.Fatalf("refuses its own text: %v\n%s", err, written(t, c.WriteTOML))
		}
		if diff := cmp.Diff(c, again, same); diff != "" {
			t.Errorf("became another one: was -, is +\n%s", diff)
		}
		if len(c.BeyondConf()) > 0 {
			return
		}
		text = written(t, c.WriteConf)
		if again, err = Parse(strings.NewReader(text), "/etc/wireguard/wg0.conf"); err != nil {
			t.Fatalf("as .conf: %v\n%s", err, text)
		}
		again.Name, again.Path = c.Name, c.Path
		if diff := cmp.Diff(c, again, same); diff != "" {
			t.Errorf("became another one as .conf: was -, is +\n%s", diff)
		}
	})
}

// FuzzParse has tried what a .conf says; here it goes by way of a .toml.
func FuzzConfByTOML(f *testing.F) {
	f.Add(full)
	f.Add("[Peer]\nPublicKey=" + pubA + "\nAllowedIPs=-10.0.0.0/8\nAllowedIPs = ::1\nEndpoint=[fe80::1%a]:7")
	f.Add("[Interface]\nDNS=corp\x7fexample")
	f.Fuzz(func(t *testing.T, text string) {
		c, err := Parse(strings.NewReader(text), "/etc/wireguard/wg0.conf")
		if err != nil {
			return
		}
		var b bytes.Buffer
		if err := c.WriteTOML(&b); err != nil {
			if strings.ToValidUTF8(text, "") != text {
				return
			}
			t.Fatal(err)
		}
		again, err := ParseTOML(&b, "/etc/wireguard/wg0.toml")
		if err != nil {
			t.Fatalf("refuses its own text: %v", err)
		}
		again, err = Parse(strings.NewReader(written(t, again.WriteConf)), "/etc/wireguard/wg0.conf")
		if err != nil {
			t.Fatalf("refuses its own text: %v", err)
		}
		for i := range c.Peers {
			if p := &c.Peers[i]; !p.Incremental {
				p.Removed = nil // says nothing: all are replaced
			}
		}
		if diff := cmp.Diff(c, again, same); diff != "" {
			t.Errorf("became another one: was -, is +\n%s", diff)
		}
		if !reflect.DeepEqual(c.AllowedRoutes(), again.AllowedRoutes()) {
			t.Errorf("routes %v became %v", c.AllowedRoutes(), again.AllowedRoutes())
		}
	})
}
