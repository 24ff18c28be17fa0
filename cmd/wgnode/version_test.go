package main

import (
	"runtime"
	"runtime/debug"
	"testing"
)

func TestDescribe(t *testing.T) {
	info := &debug.BuildInfo{
		GoVersion: "go1.26.3",
		Main:      debug.Module{Version: "v0.1.0"},
		Deps: []*debug.Module{
			{Path: "golang.org/x/sys", Version: "v0.49.0"},
			{Path: "gvisor.dev/gvisor", Version: "v0.0.0-1", Replace: &debug.Module{Path: "../gvisor"}},
			{Path: "golang.zx2c4.com/wireguard", Version: "v0.0.0-20260522210424-ecfc5a8d5446"},
		},
		Settings: []debug.BuildSetting{
			{Key: "vcs.revision", Value: "0123456789abcdef0123456789abcdef01234567"},
			{Key: "vcs.time", Value: "2026-06-01T10:00:00Z"},
			{Key: "vcs.modified", Value: "true"},
		},
	}
	want := "wgnode v0.1.0 (0123456789ab, 2026-06-01T10:00:00Z, modified)\n" +
		"go 1.26.3 " + runtime.GOOS + "/" + runtime.GOARCH + "\n" +
		"wireguard-go v0.0.0-20260522210424-ecfc5a8d5446\n" +
		"gvisor v0.0.0-1 (replaced by ../gvisor)"
	if got := describe(info); got != want {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
}
