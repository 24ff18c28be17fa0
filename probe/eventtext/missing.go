package eventtext

import "fmt"

// MissingDrops says that n packets which the kernel has dropped are counted alone.
func MissingDrops(n uint64) string {
	return fmt.Sprintf("%d more packets were dropped by the kernel: they came too fast to be recorded one by one", n)
}

// MissingEvents says that there are no lines of n events, because they came faster than
// they could be shown, or written.
func MissingEvents(n uint64, done string) string {
	return fmt.Sprintf("%d events are missing: they came faster than they could be %s", n, done)
}
