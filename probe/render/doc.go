// Package render writes what was found out, for people: a verdict as a ladder of
// checkpoints ([Report], [Doctor], [Both]), the walk of a packet as numbered steps
// ([Walk]), several recordings as one ([Merged]). Walks and merges can also be drawn
// ([WalkSVG], [MergedSVG]). A line of an event is that of package eventtext.
//
// Names of peers come from a configuration, rule texts from the kernel, and
// much else indirectly from the network. Whatever is not a printable character
// is escaped on its way through this package, so that nothing that it writes
// can steer a terminal.
//
// The package neither looks at the terminal nor at the environment: its caller
// decides about color, width and character set by [Options].
package render
