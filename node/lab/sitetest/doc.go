// Package sitetest has what the tests below node/lab share: a [Site], which is two
// hosts with a configuration file each, the questions that a user asks there, and
// what of a host a node may change.
package sitetest
