package config

import (
	"testing"
	"testing/fstest"
)

// The order in which iproute2 looks for the name of a table.
func TestNumberOfTable(t *testing.T) {
	file := func(text string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(text)} }
	etc := fstest.MapFS{
		"etc/iproute2/rt_tables":                 file("# reserved\n255\tlocal\n\n  7 plain\n0x10 hexadecimal # sixteen\n9 twice\n300 twice\n"),
		"etc/iproute2/rt_tables.d/a.conf":        file("11 added\n"),
		"etc/iproute2/rt_tables.d/b.txt":         file("12 other\n"),
		"etc/iproute2/rt_tables.d/.c.conf":       file("13 hidden\n"),
		"etc/iproute2/rt_tables.d/bad.conf":      file("14 before\nnothing\n15 after\n"),
		"usr/share/iproute2/rt_tables":           file("16 shipped\n"),
		"usr/share/iproute2/rt_tables.d/a.conf":  file("17 covered\n"),
		"usr/share/iproute2/rt_tables.d/of.conf": file("18 of-a-package\n"),
	}
	shipped := fstest.MapFS{"usr/share/iproute2/rt_tables": file("16 shipped\n")}
	for _, tc := range []struct {
		root fstest.MapFS
		name string
		want uint32 // 0: not found
	}{
		{etc, "plain", 7}, {etc, "hexadecimal", 16}, {etc, "added", 11}, {etc, "before", 14}, {etc, "of-a-package", 18},
		{etc, "twice", 9}, // of the lists that 9 and 300 are in, that of 9 comes first
		{etc, "after", 0}, {etc, "other", 0}, {etc, "hidden", 0}, {etc, "shipped", 0}, {etc, "covered", 0}, {etc, "Plain", 0}, {etc, "#", 0},
		{shipped, "shipped", 16}, {fstest.MapFS{}, "shipped", 0},
	} {
		if got, ok := numberOfTable(tc.root, tc.name); got != tc.want || ok != (tc.want != 0) {
			t.Errorf("%s is %d, %t, want %d", tc.name, got, ok, tc.want)
		}
	}
}

func TestTableNumbers(t *testing.T) {
	for text, want := range map[string]Table{"100": 100, "0x64": 100, "0144": 100, "4294967295": 4294967295, "main": 254,
		"Default": 253, "off": TableOff} {
		p := parser{cfg: &Config{}}
		if err := p.setTable(text); err != nil || p.cfg.Interface.Table != want {
			t.Errorf("Table = %s: %v, %v", text, p.cfg.Interface.Table, err)
		}
	}
}
