// Package faults tries each verdict and each finding as a user would: two hosts
// with a configuration file each, one fault, and what explain, doctor or trace
// says of it. The same configuration without the fault is healthy.
//
// TestFaults is the matrix of faults: each code of the verdicts by several
// mechanisms, in both families. `make faults` prints it.
package faults
