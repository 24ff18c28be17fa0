// Package inherit decides what the programs that this one starts get of it:
// hooks, resolvconf, a shell that prints a key, a node in the background.
package inherit
