//go:build linux

package kernelwg

// waiting holds what waits for what comes of it, in a bounded number: where there is no room
// the oldest goes.
type waiting[K comparable, V any] struct {
	most  int
	gone  func(K, V) // is told what has waited in vain
	at    map[K]uint64
	all   map[uint64]entry[K, V]
	first uint64 // the oldest that may be there
	next  uint64
}

type entry[K comparable, V any] struct {
	key   K
	value V
	since int64
}

func newWaiting[K comparable, V any](most int, gone func(K, V)) *waiting[K, V] {
	return &waiting[K, V]{most: most, gone: gone, at: make(map[K]uint64), all: make(map[uint64]entry[K, V])}
}

// put has a value wait from a time on, in place of another with the key.
func (w *waiting[K, V]) put(k K, v V, since int64) {
	if old, ok := w.at[k]; ok {
		delete(w.all, old)
	}
	for len(w.all) >= w.most {
		w.drop()
	}
	w.at[k], w.all[w.next] = w.next, entry[K, V]{k, v, since}
	w.next++
}

// has reports whether a value waits.
func (w *waiting[K, V]) has(k K) bool { _, ok := w.at[k]; return ok }

// take ends the wait of a value.
func (w *waiting[K, V]) take(k K) (v V, ok bool) {
	n, ok := w.at[k]
	if !ok {
		return v, false
	}
	v = w.all[n].value
	delete(w.at, k)
	delete(w.all, n)
	return v, true
}

// until ends the wait of what has waited since before a time.
func (w *waiting[K, V]) until(before int64) {
	for w.first < w.next {
		if e, ok := w.all[w.first]; ok {
			if e.since >= before {
				return
			}
			w.drop()
			continue
		}
		w.first++
	}
}

// drop ends the oldest wait.
func (w *waiting[K, V]) drop() {
	for ; w.first < w.next; w.first++ {
		e, ok := w.all[w.first]
		if !ok {
			continue
		}
		delete(w.at, e.key)
		delete(w.all, w.first)
		w.first++
		if w.gone != nil {
			w.gone(e.key, e.value)
		}
		return
	}
}
