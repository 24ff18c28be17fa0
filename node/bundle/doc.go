// Package bundle puts what a bug report needs into one file, and reads it again.
//
// A bundle is a .tar.gz of one folder. index.json says what is in it, and for each part that
// could not be had why. Parts are gathered with bounds on time and size, one after the other, and
// none of them keeps the others from being had. Then secrets are taken out of all of them at
// once, since one part may tell of what another one must not hold; on demand identities are
// replaced, too: package redact. A part in which a key or a password that is known would be left
// is left out.
//
//	[Source] ── gather ──> raw parts ── learn, hide, name ──> archive ── [Read] ──> explain, doctor
//
// Nothing is sent, unless an explanation is asked for, and nothing on the host is changed.
package bundle
