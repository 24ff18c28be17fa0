//go:build unix

package port

import "syscall"

// errInUse is what the system answers.
const errInUse = syscall.EADDRINUSE
