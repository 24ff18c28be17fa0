// Package redact takes secrets, and on demand identities, out of what is given away.
//
// # Secrets
//
// [Secrets] knows secrets and how they are written: in base64 of both alphabets, padded or
// not, in hexadecimal, escaped for a URL, or as the bytes themselves. Each is replaced by a
// short hash, "(hidden #1a2b3c4d)", so that equal ones are seen to be equal. The hash is an
// HMAC with a key that is drawn for each [Secrets] and never written: who has the text
// cannot try words from a dictionary, and hashes of two texts say nothing of each other.
//
// Text that others wrote may hold secrets that nobody has told of. So commands are taken apart,
// and of their words only those stay that are known to be harmless (see [Secrets.Command]); of
// other text what has the form of a key, stands behind a word such as "password", or in a URL
// behind the host, is replaced.
//
// # Identities
//
// [Names] replaces addresses, keys, names of peers, hosts and users, by others, the same by the
// same. Addresses keep their structure: two that have the first n bits in common have as many in
// common afterwards, so that routes and AllowedIPs stay what they are; the ranges that have a
// meaning of their own (private, loopback, link-local, multicast ...) stay these ranges. The map
// is drawn for each [Names] and never written.
//
// The package does no I/O.
package redact
