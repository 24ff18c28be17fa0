// Package eventtext renders one event, for people as a line of text ([AppendLine])
// and for programs as a line of JSON ([AppendJSON]). It is the ground on which
// recordings write their comments and reports their pages, so it needs to know
// nothing but events.
//
// Names of peers come from a configuration, and much else indirectly from the
// network. Whatever is not a printable character is escaped on its way through this
// package, so that nothing that it writes can steer a terminal.
//
// The package neither looks at the terminal nor at the environment: its caller
// decides about color and character set by [Options]. Nothing in it keeps state, so
// all of it may be used concurrently.
package eventtext
