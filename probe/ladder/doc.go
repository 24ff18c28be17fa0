// Package ladder renders what the node saw and what was made of it, for people
// and for programs: an event as a line of text ([AppendLine]) or of JSON
// ([AppendJSON]), a verdict as a ladder of checkpoints ([Report], [Doctor]), a walk
// as numbered steps ([Walk]).
//
// Names of peers come from a configuration, rule texts from the kernel, and
// much else indirectly from the network. Whatever is not a printable character
// is escaped on its way through this package, so that nothing that it writes
// can steer a terminal.
//
// The package neither looks at the terminal nor at the environment: its caller
// decides about colour, width and character set by [Options].
package ladder
