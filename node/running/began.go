package running

import (
	"errors"
	"io/fs"

	"github.com/wgnode/wgnode/node/plan"
	"github.com/wgnode/wgnode/node/rundir"
)

// Beginning is what a node has said of itself at its start: it runs, or it is dead
// and has left something behind.
type Beginning struct {
	Name   string
	Config string // path of its configuration, without symbolic links; "" for none
}

// Began lists the nodes of this user that were started and not taken down, in
// alphabetical order.
func Began() ([]Beginning, error) {
	names, err := rundir.Journals(rundir.Default())
	if err != nil {
		return nil, err
	}
	var all []Beginning
	for _, name := range names {
		// One that cannot be read any more has ended meanwhile, or its own command
		// says what is wrong with it.
		b := Beginning{Name: name}
		if j, err := plan.OpenJournal(rundir.Journal(rundir.Default(), name)); err == nil {
			b.Config = j.Config
		} else if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		all = append(all, b)
	}
	return all, nil
}
