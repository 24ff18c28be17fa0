// Tailscale's fork of wireguard-go, to be compared with: a module of its own, so
// that this one never depends on it. The version is the newest that the public
// module proxy serves whole.
module github.com/wgnode/wgnode/node/lab/compare/tailscale

go 1.26

tool github.com/tailscale/wireguard-go

require (
	github.com/tailscale/wireguard-go v0.0.0-20260715223240-2e01ba5b00f0 // indirect
	golang.org/x/crypto v0.50.0 // indirect
	golang.org/x/net v0.53.0 // indirect
	golang.org/x/sys v0.43.0 // indirect
	golang.zx2c4.com/wintun v0.0.0-20230126152724-0fa3db229ce2 // indirect
)
