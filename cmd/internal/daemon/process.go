package daemon

import (
	"errors"
	"fmt"
	"os"
	"runtime/debug"

	"golang.org/x/sys/unix"

	"github.com/wgnode/wgnode/node/inherit"
)

// gcPercent is how much a node's heap grows before garbage is collected, unless GOGC
// says otherwise. What lives is few large buffers without pointers, which are marked in
// no time; but what a removed peer leaves (two queues with finalizers, and the packets
// in them) survives one collection. With Go's 100 a node whose peers come and go all
// the time therefore settles at twice the memory, and is no faster.
const gcPercent = 50

// PrepareProcess makes this process one that holds a node.
func PrepareProcess() error {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
	return errors.Join(inherit.OnlyStandard(), keepSecrets())
}

// keepSecrets keeps the keys in this process's memory out of core files, also of
// what runs in its name, and from other processes of the same user.
func keepSecrets() error {
	if err := unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{}); err != nil {
		return fmt.Errorf("forbid core files: %w", err)
	}
	return HideMemory()
}

// HideMemory keeps this process out of core files, and its memory from other
// processes of the same user (core(5), PR_SET_DUMPABLE(2const)). Commands that
// only print or set keys hold them, too.
func HideMemory() error {
	if err := unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0); err != nil {
		return fmt.Errorf("forbid memory dumps: %w", err)
	}
	return nil
}
