package host

import "errors"

// NeedsLinux is an error of another system: what could not be done, such as
// "netfilter's trace". It is an [errors.ErrUnsupported].
type NeedsLinux string

// Error says it.
func (e NeedsLinux) Error() string { return string(e) + " needs Linux" }

// Is implements what [errors.Is] asks.
func (e NeedsLinux) Is(target error) bool { return target == errors.ErrUnsupported }
