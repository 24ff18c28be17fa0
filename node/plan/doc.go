// Package plan brings an interface up and down: it turns a configuration into
// a list of steps, does them one by one, and undoes them.
//
// A [Step] is plain data: what to do to which link, and no code. [Build] makes
// the list from a [config.Config] and a [State], which is all that the list
// needs to know of the host, without touching anything. A list can therefore
// be printed (a step's String is a command that would do the same), tested as
// a table, compared with another, and written to a file.
//
// That file is the [Journal]. [Runner.Apply] writes each step there before it
// does it, so that at any moment the file holds all that there may be to undo.
// If a step fails or the context ends, Apply undoes in reverse what was done.
// If instead the process dies, another one opens the file and [Runner.Undo]
// does the same: undoing takes what is already gone for undone, and touches
// only the link whose index the journal holds, never another one that has got
// the name since. Rules it knows by their priorities, so that an equal one of
// another tunnel stays.
//
// A kill switch is a step like the others, the first one. [Runner.UndoExcept]
// leaves it standing, and [Journal.TakeOver] hands it to who comes next.
//
// What a step does is up to a [Kernel] and a [Device]. [System] is the kernel
// of this host; the device is the node's own, because a userspace device lives
// and dies with the process that serves it.
package plan
