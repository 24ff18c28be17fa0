// Package httpproxy serves an HTTP proxy: CONNECT (RFC 9110 9.3.6) for what is
// a tunnel to the client, and requests in absolute form (RFC 9112 3.2.2) for
// plain HTTP, with user and password by the Basic scheme (RFC 7617) if there are
// some.
//
// Why an attempt failed is passed on: 504 if nothing answered in time, else 502,
// with a sentence that says what happened.
package httpproxy
