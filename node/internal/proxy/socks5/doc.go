// Package socks5 serves SOCKS version 5 (RFC 1928): CONNECT and UDP ASSOCIATE,
// with user and password (RFC 1929) if there are some. BIND, which nobody uses,
// is refused as the RFC has it. Names are looked up in the network that is
// dialed, not by the host, so that no question gets past the tunnel.
//
// Why an attempt failed is passed on in the reply: refused, no route, or not
// reachable, which also stands for a name that there is not, and for silence.
//
// The UDP socket of an association is opened at the address that the client
// reached, takes packets from that client alone, and lasts as long as the
// client's connection. Fragments, which nobody sends, are dropped.
package socks5
