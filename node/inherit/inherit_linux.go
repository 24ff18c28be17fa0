package inherit

import (
	"fmt"
	"math"

	"golang.org/x/sys/unix"
)

// OnlyStandard keeps every descriptor that is open now, but for standard input,
// output and error, from the programs that are started later. Go opens its own so
// anyway. What this process has got from the one that started it is not so, and
// would stay open for as long as a node runs, such as the lock that a script
// holds; nor is what wireguard-go opens to watch its socket.
func OnlyStandard() error {
	err := unix.CloseRange(firstOwn, math.MaxUint32, unix.CLOSE_RANGE_CLOEXEC)
	if err != nil { // before Linux 5.11, or a filter of system calls does not know it
		err = eachOpen(unix.CloseOnExec)
	}
	if err != nil {
		return fmt.Errorf("keep descriptors to this process: %w", err)
	}
	return nil
}

// listing is the folder that has a name for each descriptor.
const listing = "/proc/self/fd"
