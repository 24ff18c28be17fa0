// Package wgtool has the commands that wg(8) and wg-quick(8) have, too: show, showconf, set,
// setconf, addconf, syncconf, genkey, genpsk, pubkey and strip. Their output, their words and their
// exit status are those of wg, byte for byte, so that scripts can call either program; the tests
// run both and compare. Called as wg, wg-quick or wireguard-go, the program is that one (Run).
package wgtool
