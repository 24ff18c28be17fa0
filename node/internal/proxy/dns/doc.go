// Package dns serves a DNS forwarder: questions (RFC 1035) that come by UDP and
// by TCP go on as they are to name servers that somebody else reaches, and their
// answers come back as they are. It keeps nothing, and knows no names itself.
//
// Who asks by UDP what has a long answer gets the server's, which says that it
// is truncated; he asks by TCP then, and so does the forwarder. A question that
// no server answers is answered with SERVFAIL.
package dns
