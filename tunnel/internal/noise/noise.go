// Package noise reads handshake messages as their receiver does: it tells by the mac1
// whom one is for, and decrypts an initiation as far as its responder does before it
// answers. These are the first steps of Noise_IKpsk2 as WireGuard uses it (WireGuard
// whitepaper, section 5.4; https://www.wireguard.com/protocol/). The device does the
// same, but says nothing of an initiator that it does not know.
//
// It answers nothing and keeps nothing, and is pure: an [Identity] and a message in, who
// and when out.
package noise

import (
	"crypto/ecdh"
	"crypto/hmac"
	"crypto/subtle"
	"encoding/binary"
	"hash"
	"time"

	"golang.org/x/crypto/blake2s"
	"golang.org/x/crypto/chacha20poly1305"

	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/key"
)

// Offsets within the messages: of ephemeral public keys, and of what is sealed.
const (
	InitiationEphemeral = 8
	ResponseEphemeral   = 12
	initStatic          = 40
	initTimestamp       = 88
	macsSize            = 32 // mac1 and mac2 end both handshake messages
	mac1Size            = 16
)

var (
	firstChain = blake2s.Sum256([]byte("Noise_IKpsk2_25519_ChaChaPoly_BLAKE2s"))
	firstHash  = mixHash(firstChain, []byte("WireGuard v1 zx2c4 Jason@zx2c4.com"))
)

// MAC1Key is the key of the mac1 of every handshake message to owner.
func MAC1Key(owner key.Public) [32]byte {
	return blake2s.Sum256(append([]byte("mac1----"), owner[:]...))
}

// MAC1Valid reports whether a handshake message is made for the owner of k.
func MAC1Valid(msg []byte, k *[32]byte) bool {
	h, err := blake2s.New128(k[:])
	if err != nil {
		return false // not possible with a key of 32 bytes
	}
	at := len(msg) - macsSize
	h.Write(msg[:at])
	return subtle.ConstantTimeCompare(h.Sum(nil), msg[at:at+mac1Size]) == 1
}

func mixHash(h [32]byte, data []byte) [32]byte {
	d, _ := blake2s.New256(nil) // fails only for a key that is too long
	d.Write(h[:])
	d.Write(data)
	return [32]byte(d.Sum(nil))
}

func hmacBlake2s(key []byte, parts ...[]byte) [32]byte {
	m := hmac.New(func() hash.Hash { h, _ := blake2s.New256(nil); return h }, key)
	for _, p := range parts {
		m.Write(p)
	}
	return [32]byte(m.Sum(nil))
}

// kdf1 is the key derivation with one output.
func kdf1(chain [32]byte, input []byte) [32]byte {
	prk := hmacBlake2s(chain[:], input)
	return hmacBlake2s(prk[:], []byte{1})
}

// kdf2 is the key derivation with two outputs.
func kdf2(chain [32]byte, input []byte) (next, k [32]byte) {
	prk := hmacBlake2s(chain[:], input)
	next = hmacBlake2s(prk[:], []byte{1})
	k = hmacBlake2s(prk[:], next[:], []byte{2})
	return next, k
}

func open(k [32]byte, sealed, hash []byte) ([]byte, bool) {
	aead, err := chacha20poly1305.New(k[:])
	if err != nil {
		return nil, false // not possible with a key of 32 bytes
	}
	var nonce [chacha20poly1305.NonceSize]byte
	plain, err := aead.Open(nil, nonce[:], sealed, hash)
	return plain, err == nil
}

// initiation is what the responder can read of an initiation.
type initiation struct {
	Static key.Public
	OK     bool // static could be decrypted

	hash, chain [32]byte
	sealed      [28]byte // the timestamp
}

// ReadInitiation decrypts the static key in msg, an initiation for us. It
// takes one multiplication on the curve.
func ReadInitiation(msg []byte, own *Identity) (in initiation) {
	if len(msg) != probe.LenInitiation || own.private == nil {
		return in
	}
	eph, err := ecdh.X25519().NewPublicKey(msg[InitiationEphemeral:initStatic])
	if err != nil {
		return in
	}
	shared, err := own.private.ECDH(eph)
	if err != nil {
		return in
	}
	h := mixHash(mixHash(firstHash, own.Public[:]), eph.Bytes())
	chain, k := kdf2(kdf1(firstChain, eph.Bytes()), shared)
	static, ok := open(k, msg[initStatic:initTimestamp], h[:])
	if !ok {
		return in
	}
	in.Static, in.OK = key.Public(static), true
	in.hash, in.chain = mixHash(h, msg[initStatic:initTimestamp]), chain
	copy(in.sealed[:], msg[initTimestamp:])
	return in
}

// Timestamp decrypts the initiator's clock. It takes another multiplication.
func (in *initiation) Timestamp(own *Identity) (time.Time, bool) {
	if own.private == nil {
		return time.Time{}, false
	}
	static, err := ecdh.X25519().NewPublicKey(in.Static[:])
	if err != nil {
		return time.Time{}, false
	}
	shared, err := own.private.ECDH(static)
	if err != nil {
		return time.Time{}, false
	}
	_, k := kdf2(in.chain, shared)
	plain, ok := open(k, in.sealed[:], in.hash[:])
	if !ok || len(plain) != 12 {
		return time.Time{}, false
	}
	return tai64n(plain), true
}

// tai64n reads a TAI64N label (https://cr.yp.to/libtai/tai64.html). WireGuard
// adds 10 s to Unix time instead of the leap seconds of TAI, and blurs the
// nanoseconds.
func tai64n(b []byte) time.Time {
	const epoch = 1<<62 + 10
	return time.Unix(int64(binary.BigEndian.Uint64(b)-epoch), int64(binary.BigEndian.Uint32(b[8:])))
}
