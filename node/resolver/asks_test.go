//go:build linux

package resolver

import (
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/godbus/dbus/v5"
	"github.com/godbus/dbus/v5/prop"
	"golang.org/x/sys/unix"
)

func TestAsksFile(t *testing.T) {
	for text, want := range map[string][]string{
		"": nil,
		"# nameserver 10.0.0.9\nsearch a\nnameserver 10.0.0.1\n nameserver\tfe80::1%eth0 # x\n" +
			"nameserver nonsense\n": {"10.0.0.1", "fe80::1%eth0"},
		"nameserver 10.0.0.1\nnameserver 10.0.0.2\nnameserver 10.0.0.3\nnameserver 10.0.0.4": {"10.0.0.1", "10.0.0.2", "10.0.0.3"},
	} {
		path := filepath.Join(t.TempDir(), "resolv.conf")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		a, err := Host{ResolvConf: path}.Asks(t.Context(), Auto)
		if err != nil || a.By != path || !slices.Equal(texts(a.Servers), want) {
			t.Errorf("%q: %+v, %v, want %v", text, a, err, want)
		}
	}
	gone := filepath.Join(t.TempDir(), "resolv.conf")
	if a, err := (Host{ResolvConf: gone}).Asks(t.Context(), Auto); err != nil || len(a.Servers) != 0 {
		t.Errorf("no file: %+v, %v", a, err)
	}
}

func texts(as []netip.Addr) []string {
	var s []string
	for _, a := range as {
		s = append(s, a.String())
	}
	return s
}

// links adds to a systemd-resolved on the bus what it says of its links.
type links struct{}

func (links) GetLink(index int32) (dbus.ObjectPath, *dbus.Error) {
	return dbus.ObjectPath("/link/_" + string(rune('0'+index))), nil
}

func TestAsksResolved(t *testing.T) {
	uplink := linkAddress{2, unix.AF_INET, []byte{10, 9, 1, 1}}
	tunnel := linkAddress{7, unix.AF_INET, []byte{10, 0, 0, 2}}
	global := linkAddress{0, unix.AF_INET6, netip.MustParseAddr("2001:db8::53").AsSlice()}
	quiet := linkAddress{3, unix.AF_INET, []byte{172, 17, 0, 1}} // is not for all names
	for name, test := range map[string]struct {
		dns     []linkAddress
		domains []linkDomain
		want    []string
	}{
		"the tunnel takes all names": {[]linkAddress{uplink, tunnel, global}, []linkDomain{{2, "lan", false}, {7, ".", true}},
			[]string{"10.0.0.2"}},
		"it takes only some": {[]linkAddress{uplink, tunnel, quiet}, []linkDomain{{7, "corp.example", true}},
			[]string{"10.9.1.1", "10.0.0.2"}},
		"it has no server any more":   {[]linkAddress{uplink, global}, nil, []string{"10.9.1.1", "2001:db8::53"}},
		"a link's domain is no route": {[]linkAddress{uplink}, []linkDomain{{2, ".", false}}, []string{"10.9.1.1"}},
		"a server on a link": {[]linkAddress{{1, unix.AF_INET6, netip.MustParseAddr("fe80::1").AsSlice()}},
			[]linkDomain{{1, ".", true}}, []string{"fe80::1%lo"}},
		"nobody": {nil, nil, nil},
	} {
		t.Run(name, func(t *testing.T) {
			conn := serve(t, bus(t), resolved).conn
			if err := conn.ExportMethodTable(map[string]any{"GetLink": links{}.GetLink}, resolved.path, resolved.name+".Manager"); err != nil {
				t.Fatal(err)
			}
			export := func(path dbus.ObjectPath, iface string, values map[string]any) {
				m := make(map[string]*prop.Prop)
				for k, v := range values {
					m[k] = &prop.Prop{Value: v}
				}
				if _, err := prop.Export(conn, path, prop.Map{resolved.name + "." + iface: m}); err != nil {
					t.Fatal(err)
				}
			}
			export(resolved.path, "Manager", map[string]any{"DNS": append([]linkAddress{}, test.dns...),
				"Domains": append([]linkDomain{}, test.domains...)})
			for index, is := range map[string]bool{"2": true, "3": false, "7": true} {
				export(dbus.ObjectPath("/link/_"+index), "Link", map[string]any{"DefaultRoute": is})
			}
			path := filepath.Join(t.TempDir(), "resolv.conf")
			if err := os.WriteFile(path, []byte("nameserver 127.0.0.53\n"), 0o600); err != nil {
				t.Fatal(err)
			}
			a, err := Host{ResolvConf: path}.Asks(t.Context(), Auto)
			if err != nil || a.By != "systemd-resolved" || !slices.Equal(texts(a.Servers), test.want) {
				t.Errorf("%+v, %v, want %v", a, err, test.want)
			}
		})
	}
}
