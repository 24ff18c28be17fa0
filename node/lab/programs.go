//go:build linux

package lab

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"

	"golang.org/x/sys/unix"
)

// WireguardGo returns the path of wireguard-go's own program, built from the
// version that go.mod names.
func WireguardGo(t testing.TB) string {
	t.Helper()
	return build(t, "wireguard-go", "golang.zx2c4.com/wireguard")
}

// Wgnode returns the path of this module's program, built from the working
// tree, with flags such as "-race" for go build.
func Wgnode(t testing.TB, flags ...string) string {
	t.Helper()
	return build(t, "wgnode", "github.com/wgnode/wgnode/cmd/wgnode", flags...)
}

// Measured returns the path of a program that is a node's device with what
// measurements need: see its source.
func Measured(t testing.TB) string {
	t.Helper()
	return build(t, "measured", "github.com/wgnode/wgnode/node/lab/measured")
}

// StackEnd returns the path of a program whose tunnel ends in a network stack of
// a kind that its first argument says, see its source.
func StackEnd(t testing.TB) string {
	t.Helper()
	return build(t, "stackend", "github.com/wgnode/wgnode/node/lab/stackend")
}

// built holds a function per program and flags, that builds it once.
var built sync.Map

// programsEnv names a folder in which programs are already built, for machines without Go.
const programsEnv = "WGNODE_LAB_PROGRAMS"

// build makes a program, at most once in a test process. The program stays in
// the user's cache directory, beside Go's build cache, where go build finds it
// up to date the next time.
func build(t testing.TB, name, pkg string, flags ...string) string {
	t.Helper()
	if dir := os.Getenv(programsEnv); dir != "" {
		return filepath.Join(dir, name)
	}
	for _, f := range flags {
		name += f
	}
	once, _ := built.LoadOrStore(name, sync.OnceValues(func() (string, error) {
		return buildProgram(name, pkg, flags)
	}))
	path, err := once.(func() (string, error))()
	if err != nil {
		t.Fatalf("build %s: %v", pkg, err)
	}
	return path
}

func buildProgram(name, pkg string, flags []string) (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	root, err := exec.Command("go", "env", "GOMOD").Output()
	if err != nil {
		return "", fmt.Errorf("find the module: %w", err)
	}
	// Each checkout has its own, lest one tests the program of another.
	sum := sha256.Sum256(root)
	dir := filepath.Join(cache, "wgnode-lab", hex.EncodeToString(sum[:4]))
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	// The tests of several packages, each a process, may build at once.
	lock, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return "", err
	}
	defer lock.Close()
	if err := unix.Flock(int(lock.Fd()), unix.LOCK_EX); err != nil {
		return "", fmt.Errorf("lock %s: %w", lock.Name(), err)
	}
	path := filepath.Join(dir, name)
	args := append([]string{"build", "-o", path}, flags...)
	if out, err := exec.Command("go", append(args, pkg)...).CombinedOutput(); err != nil {
		return "", fmt.Errorf("%w\n%s", err, out)
	}
	return path, nil
}
