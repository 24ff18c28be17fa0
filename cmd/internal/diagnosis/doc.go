// Package diagnosis has the commands that say what is wrong and change it: explain, doctor, trace,
// ping, merge and undo. Each collects from a node, a recording, a bundle, or both ends of a tunnel,
// has the packages below judge it, and prints the report. Where --fix is given, the same report is
// the order of what to do; each step that was done is in a journal, from which undo takes it back.
package diagnosis
