// Package walk puts together the walk of one packet through this host, and that
// of its reply: the numbered steps that a person with `ip rule`, `nft monitor`
// and `wg show` would find out one after the other.
//
//	application            tunnel               network
//	routing decision
//	output
//	postrouting ───> cryptokey routing
//	                 encapsulation ───> routing decision, with the mark
//	                                    output
//	                                    postrouting
//	                                    wire ───────────────> the other end
//	                                    wire <───────────────
//	                                    prerouting
//	                                    source check
//	                 decryption <────── input
//	prerouting <──── re-entry
//	source check
//	input
//	application
//
// What was seen is in [Facts]; [Build] makes a [Walk] of it. Each step says what
// came of it and by what evidence. The walk ends where the packet was lost, and
// what could not be looked at is called not visible, never guessed.
//
// The package does no I/O, so that a table of facts is all that its tests need.
// A Walk is plain data and goes through JSON unchanged; package render writes it as
// text and draws it.
package walk
