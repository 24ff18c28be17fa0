// Package cli is what all commands have in common with each other, and nothing of what any of them
// does: the terminal and its colors, errors with hints and the exit status that they end with,
// wrong usage in our own words, help that fits 80 columns, flags that several commands have, and
// reports as text or JSON.
//
// An error becomes text once, in Report: a command returns what went wrong as a fact, with
// WithHint what to type, and prints none of it. StrictUsage wraps the whole tree of commands, so
// that none of them checks its number of arguments or an empty flag itself.
package cli
