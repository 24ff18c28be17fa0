// Package diagnose turns what was seen into a verdict. It does no I/O: what
// was seen is in [Facts], most of it gathered from events by a [Collector], so
// that a live node, a test and a recording are judged by the same code.
//
// The rules are those that a person with tcpdump on the host goes by, one
// checkpoint after the other: the first that did not happen is where the
// packet went missing, and what was seen beside it says why. Where several
// causes look the same from this host the verdict is the general code
// ([NoResponse], [NoReply], [ResponseNotAccepted]), not certain, with the
// candidates and the check that tells each from the others.
//
//	events --Collector--> Facts --Judge--> Verdict
//	                        |
//	                        +----Ladder--> rungs A1-A6 or B1-B8
package diagnose
