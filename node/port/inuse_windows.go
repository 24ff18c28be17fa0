package port

import "golang.org/x/sys/windows"

// errInUse is what the system answers.
const errInUse = windows.WSAEADDRINUSE
