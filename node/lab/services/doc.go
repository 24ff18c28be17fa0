// Package services tries nodes of users without privileges on hosts of their own:
// the services of a node without an interface, routing for peers, and exec.
package services
