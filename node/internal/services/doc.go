// Package services runs what a node without an interface does for the programs of its host, and for
// its peers: proxies, forwards, a DNS forwarder, routing between peers and the host's networks
// (package proxy and those below it). A change of the configuration leaves alone those that stay as
// they are.
package services
