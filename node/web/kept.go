package web

import (
	"crypto/rand"
	"sync"

	"github.com/wgnode/wgnode/probe/diagnose"
)

// keeps is how many answers are remembered that the page may come back to.
const keeps = 32

// kept remembers the latest values by names that nobody can guess.
type kept[T any] struct {
	mu    sync.Mutex
	of    map[string]T // guarded by mu
	order []string     // oldest first; guarded by mu
}

func (k *kept[T]) keep(v T) string {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.of == nil {
		k.of = make(map[string]T)
	}
	if len(k.order) == keeps {
		delete(k.of, k.order[0])
		k.order = k.order[1:]
	}
	id := rand.Text()
	k.of[id] = v
	k.order = append(k.order, id)
	return id
}

func (k *kept[T]) get(id string) (T, bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	v, ok := k.of[id]
	return v, ok
}

// drawings are SVG documents that answers refer to.
type drawings = kept[[]byte]

// reports are explanations whose fixes can be applied.
type reports = kept[toldReport]

// toldReport is what was asked and found.
type toldReport struct {
	question explainQuestion
	verdict  diagnose.Verdict
}
