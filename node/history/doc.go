// Package history keeps what state each peer of a tunnel was in, when, and why: for days, in a
// file of bounded size, so that "it failed three times since yesterday" is known although nobody
// looked.
//
//	peers' verdicts ── Book.Note ──> lines of JSON ── Read ──> timeline.Lines
//
// A line is written when a node starts, when a peer's state or verdict has become another one, and
// when the node stops. A file that has grown to half of its bound is renamed to NAME.history.old, in
// the place of the one before, and the next one begins with the states that last. So at least half
// of the bound is always there, and never more than the bound.
//
// There is one writer for a name: the node. Readers need no lock; a line that is being written is
// left out.
package history
