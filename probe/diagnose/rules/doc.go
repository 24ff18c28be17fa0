// Package rules finds the verdict that facts support. It does no I/O.
//
// The rules are those that a person with tcpdump on the host goes by, one checkpoint
// after the other: the first that did not happen is where the packet went missing,
// and what was seen beside it says why. Where several causes look the same from this
// host the verdict is the general code ([diagnose.NoResponse], [diagnose.NoReply],
// [diagnose.ResponseNotAccepted]), not certain, with the candidates and the check
// that tells each from the others.
package rules
