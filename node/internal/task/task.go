// Package task has the parts of a node that run all the time: each until it is told to end, all until
// one fails.
package task

import (
	"context"
	"fmt"

	"golang.org/x/sync/errgroup"
)

// Task is one thing that a running node does all the time. Its Run returns nil
// when ctx ends; any other return ends the node.
type Task interface {
	fmt.Stringer
	Run(ctx context.Context) error
}

// Run runs tasks until ctx ends, or one of them does with an error.
func Run(ctx context.Context, tasks []Task) error {
	g, gctx := errgroup.WithContext(ctx)
	for _, t := range tasks {
		g.Go(func() error {
			if err := t.Run(gctx); err != nil {
				return fmt.Errorf("%s: %w", t, err)
			}
			return nil
		})
	}
	return g.Wait()
}

// Func is a task of one function.
type Func struct {
	Name string
	Do   func(context.Context) error
}

func (t Func) String() string                { return t.Name }
func (t Func) Run(ctx context.Context) error { return t.Do(ctx) }
