// Package system tries nodes with an interface on hosts of their own: up, reload
// and down, what they change of a host and leave behind, beside wg-quick and
// wireguard-go.
package system
