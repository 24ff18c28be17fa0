package top

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/gdamore/encoding"
	"github.com/gdamore/tcell/v2"
	"github.com/gdamore/tcell/v2/terminfo"
)

// frame is how often is drawn, at most: four times a second.
const frame = 250 * time.Millisecond

// ErrTerminal: there is no terminal that could show a screen.
var ErrTerminal = errors.New("no terminal that can show a screen")

// Terminal is the terminal of this process. The error wraps [ErrTerminal].
func Terminal() (tcell.Screen, error) {
	// As all of this program's output: UTF-8, whatever the locale says.
	tcell.RegisterEncoding("US-ASCII", encoding.UTF8)
	tcell.SetEncodingFallback(tcell.EncodingFallbackUTF8)
	s, err := tcell.NewTerminfoScreenFromTtyTerminfo(nil, terminalOf(os.Getenv("TERM")))
	if err == nil {
		err = s.Init()
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrTerminal, err)
	}
	return s, nil
}

// terminalOf is what a terminal can do; nil where package tcell finds that out. One that claims to
// be dumb is not asked for colors, and one that nobody knows is taken for what most are.
func terminalOf(name string) *terminfo.Terminfo {
	instead := ""
	switch ti, err := tcell.LookupTerminfo(name); {
	case name == "dumb":
		instead = "vt100"
	case err != nil || ti == nil:
		instead = "xterm"
	default:
		return nil
	}
	ti, err := tcell.LookupTerminfo(instead)
	if err != nil {
		return nil // it is told why then
	}
	return ti
}

// Run shows the model on a screen until a person quits, ctx ends, or the terminal is gone. However it
// ends, the terminal is as it was before. said is what is to be said then.
func Run(ctx context.Context, s tcell.Screen, m *Model) (said string, err error) {
	r := &runner{screen: s, model: m, done: make(chan func(*Model), 16), events: make(chan tcell.Event, 64), failed: make(failures, 1)}
	ctx, cancel := context.WithCancel(ctx)
	quit := make(chan struct{})
	defer func() {
		if p := recover(); p != nil {
			s.Fini()
			panic(p) // with the terminal as it was
		}
	}()
	s.EnableMouse(tcell.MouseButtonEvents)
	go s.ChannelEvents(r.events, quit)
	err = r.loop(ctx)
	close(quit)
	cancel()
	s.Fini()
	if rec := m.recording; rec != nil {
		said = rec.Stop()
	}
	r.jobs.Wait()
	return said, err
}

// runner is a screen that runs.
type runner struct {
	screen tcell.Screen
	model  *Model
	events chan tcell.Event
	done   chan func(*Model)
	failed failures
	jobs   sync.WaitGroup
	drawn  time.Time
}

func (r *runner) loop(ctx context.Context) error {
	tick := time.NewTicker(frame)
	defer tick.Stop()
	r.draw()
	for {
		select {
		case <-ctx.Done():
			return nil
		case err := <-r.failed:
			return err
		case err := <-r.model.src.Failed():
			return err
		case ev, ok := <-r.events:
			if !ok || gone(ev) {
				return nil
			}
			r.model.Handle(ev)
			if _, resized := ev.(*tcell.EventResize); resized {
				r.screen.Sync()
			}
		case do := <-r.done:
			r.model.Done(do)
		case <-tick.C:
			r.model.Tick()
			r.model.recordingEnded()
		}
		r.start(ctx)
		if r.model.Quit() {
			return nil
		}
		if r.model.Changed() && time.Since(r.drawn) >= frame {
			r.draw()
		}
	}
}

// gone reports whether an event says that the terminal has gone.
func gone(ev tcell.Event) bool {
	_, failed := ev.(*tcell.EventError)
	return failed
}

func (r *runner) draw() {
	r.drawn = time.Now()
	r.screen.Clear()
	r.model.Draw(r.screen)
	r.screen.Show()
}

// start has the model's jobs done. A panic in one ends the screen in order.
func (r *runner) start(ctx context.Context) {
	for _, job := range r.model.Jobs() {
		r.jobs.Go(func() {
			defer r.failed.catch()
			do := job(ctx)
			select {
			case r.done <- do:
			case <-ctx.Done():
			}
		})
	}
}

// recordingEnded says so of a recording that has ended by itself.
func (m *Model) recordingEnded() {
	if m.recording == nil {
		return
	}
	m.stale = true // its progress
	select {
	case <-m.recording.Done:
		m.stopRecording()
	default:
	}
}
