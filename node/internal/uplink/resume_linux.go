package uplink

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// leastSleep is the shortest sleep that counts: in less nobody has forgotten us.
const leastSleep = time.Second

// Resumes calls woke each time that the host has been asleep (suspend, hibernate),
// with how long that was, until ctx ends. It costs nothing meanwhile: the
// kernel wakes a timer that watches the wall clock for jumps (TFD_TIMER_CANCEL_ON_SET
// of timerfd_create(2)), of which a resume is one.
func Resumes(ctx context.Context, woke func(asleep time.Duration)) error {
	fd, err := unix.TimerfdCreate(unix.CLOCK_REALTIME, unix.TFD_CLOEXEC|unix.TFD_NONBLOCK)
	if err != nil {
		return fmt.Errorf("watch for resume: create timer: %w", err)
	}
	never := unix.ItimerSpec{Value: unix.Timespec{Sec: min(1<<40, math.MaxInt)}}
	if err := unix.TimerfdSettime(fd, unix.TFD_TIMER_ABSTIME|unix.TFD_TIMER_CANCEL_ON_SET, &never, nil); err != nil {
		return errors.Join(fmt.Errorf("watch for resume: set timer: %w", err), unix.Close(fd))
	}
	timer := os.NewFile(uintptr(fd), "timerfd")
	defer timer.Close()                                          // nothing was written
	stop := context.AfterFunc(ctx, func() { _ = timer.Close() }) // which ends the Read
	defer stop()
	return resumes(timer, asleep, woke)
}

// resumes reads the timer. It is told only that the wall clock has jumped; total,
// the time that the host has ever been asleep, tells whether that was it.
func resumes(timer io.Reader, total func() (time.Duration, error), woke func(time.Duration)) error {
	last, err := total()
	if err != nil {
		return err
	}
	var count [8]byte
	for {
		_, err := timer.Read(count[:])
		if errors.Is(err, os.ErrClosed) {
			return nil
		}
		if err != nil && !errors.Is(err, unix.ECANCELED) {
			return fmt.Errorf("watch for resume: %w", err)
		}
		now, err := total()
		if err != nil {
			return err
		}
		if now-last >= leastSleep {
			woke(now - last)
		}
		last = now
	}
}

// asleep returns how long the host has been asleep since it started: the clock
// that counts such time less the one that does not (clock_gettime(2)).
func asleep() (time.Duration, error) {
	var all, awake unix.Timespec
	if err := errors.Join(unix.ClockGettime(unix.CLOCK_MONOTONIC, &awake), unix.ClockGettime(unix.CLOCK_BOOTTIME, &all)); err != nil {
		return 0, fmt.Errorf("read clocks: %w", err)
	}
	return time.Duration(all.Nano() - awake.Nano()), nil
}
