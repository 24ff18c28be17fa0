// Package setup makes configurations: a server's first file, and further peers of one
// that there is, with a file for the other end.
//
// What it makes is a [config.Config], or peers of one. Who calls it writes that, and
// decides who gets to see the secrets in it.
package setup
