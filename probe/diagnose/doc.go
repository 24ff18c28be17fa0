// Package diagnose is the model of a verdict: the facts that it rests on, the codes
// that it may have, and the reports that it stands in. It does no I/O, so that a live
// node, a test and a recording are judged by the same code.
//
// The packages below turn one into the other:
//
//	events --collect--> Facts --rules--> Verdict
//	                      |      (the facts of two hosts: twosided)
//	                      +----Ladder--> rungs A1-A6 or B1-B8
package diagnose
