package repair

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/wgnode/wgnode/probe/fix"
)

// Apply does steps, those of [Doable], in order, each after it has been written into the
// journal. say is told of each line before it is done. Before the first is done, all are looked at
// once more: what has come in between keeps the fix from being begun. If one fails, those before it are
// undone, and the error says which. The record that is returned is nil then.
func (j Journal) Apply(ctx context.Context, link, code string, steps fix.Steps, say func(line string)) (*Record, error) {
	unlock, err := j.lock()
	if err != nil {
		return nil, err
	}
	defer unlock()
	r := &Record{Version: version, ID: 1, Time: time.Now(), Interface: link, For: code}
	if before, err := j.List(); err != nil {
		return nil, err
	} else if len(before) > 0 {
		r.ID = before[0].ID + 1
	}
	for _, s := range steps {
		if _, err := prepare(ctx, s); err != nil {
			return nil, fmt.Errorf("apply %q: %w", s.Line(), err)
		}
	}
	for _, s := range steps {
		if err := j.step(ctx, r, s, say); err != nil {
			// What was begun is ended, even if the user has had enough.
			left := j.undo(context.WithoutCancel(ctx), r, say)
			return nil, errors.Join(fmt.Errorf("apply %q: %w", s.Line(), err), left)
		}
	}
	return r, nil
}

// step does one step. It is in the journal before it is done, so that it can be undone
// whatever happens to this process.
func (j Journal) step(ctx context.Context, r *Record, s fix.Step, say func(string)) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	d, err := prepare(ctx, s)
	if err != nil {
		return err
	}
	r.Deeds = append(r.Deeds, d)
	if err := j.write(r); err != nil {
		r.Deeds = r.Deeds[:len(r.Deeds)-1]
		return err
	}
	say(d.Step)
	last := &r.Deeds[len(r.Deeds)-1]
	err = last.do(context.WithoutCancel(ctx))
	if err != nil && !last.Done {
		r.Deeds = r.Deeds[:len(r.Deeds)-1]
	}
	return errors.Join(err, j.write(r))
}

// Undo undoes a fix, the latest step first. say is told of each step that is undone, and
// of each that is left as it is because it has changed since. What could not be undone
// stays in the journal, and is the error.
func (j Journal) Undo(ctx context.Context, r Record, say func(line string)) error {
	unlock, err := j.lock()
	if err != nil {
		return err
	}
	defer unlock()
	now, err := readRecord(j.path(r.ID))
	if err != nil {
		return err // somebody else has undone it
	}
	return j.undo(ctx, now, say)
}

func (j Journal) undo(ctx context.Context, r *Record, say func(string)) error {
	var errs []error
	var left []Deed
	for len(r.Deeds) > 0 {
		d := r.Deeds[len(r.Deeds)-1]
		r.Deeds = r.Deeds[:len(r.Deeds)-1]
		err := d.undo(ctx)
		changed, isChange := errors.AsType[*ChangedError](err)
		switch {
		case isChange:
			say(fmt.Sprintf("left as it is, %s: %s", d.Step, changed))
		case err != nil && d.Done:
			errs = append(errs, fmt.Errorf("undo %q: %w", d.Step, err))
			left = append([]Deed{d}, left...)
		case err == nil:
			say("undone: " + d.Step)
		}
		rest := *r
		rest.Deeds = append(append([]Deed(nil), r.Deeds...), left...)
		if err := j.write(&rest); err != nil {
			return errors.Join(append(errs, err)...)
		}
	}
	r.Deeds = left
	return errors.Join(errs...)
}
