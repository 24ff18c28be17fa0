package clock

import (
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Read describes the clocks as they are now. The error says why it is not known whether
// they are synchronized; the rest is known nevertheless.
func Read() (Clock, error) {
	c := Clock{Wall: time.Now()}
	var mono unix.Timespec
	if unix.ClockGettime(unix.CLOCK_MONOTONIC, &mono) == nil {
		c.Monotonic = time.Duration(mono.Nano())
	}
	if source, err := os.ReadFile("/sys/devices/system/clocksource/clocksource0/current_clocksource"); err == nil {
		c.Source = strings.TrimSpace(string(source))
	}
	var t unix.Timex // Modes 0: it only asks (adjtimex(2))
	state, err := unix.Adjtimex(&t)
	if err != nil {
		return c, os.NewSyscallError("adjtimex", err)
	}
	if state != unix.TIME_ERROR && t.Status&unix.STA_UNSYNC == 0 {
		c.Synchronized, c.MaxError = true, time.Duration(t.Maxerror)*time.Microsecond
	}
	return c, nil
}
