// Package process ends the processes that a journal names, and waits until they have ended. Numbers of
// processes are used again, so each is held by a descriptor before it is looked at.
package process

import "time"

// Time is how long a process may take to end.
const Time = 20 * time.Second
