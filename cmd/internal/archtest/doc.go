// Package archtest holds the source against ARCHITECTURE.md, as go/build's deps
// test does for Go itself: the imports of each package against the table of rooms,
// and the sizes of files, functions and lines against the bounds that it states.
//
// It has tests only. What does not hold yet is listed beside each test; an entry
// that is no longer needed fails the test, so that the lists only shrink.
package archtest
