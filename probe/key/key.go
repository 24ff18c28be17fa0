// Package key holds WireGuard's three kinds of 32 byte key as three types, so
// that the compiler keeps apart what may be shown and what may not.
//
// A Public key names a peer and prints as base64, the form that people paste
// into configs. A Private or Preshared key is a secret: every way in which a
// value usually finds its way into text (fmt with any verb, errors, slog,
// encoding/json and the other encodings built on TextMarshaler) yields
// "(hidden)". The secret comes out only through Base64 and Hex, whose few
// callers are therefore easy to review: `genkey` and its like, and the
// configuration of the device.
//
// One hole stays open, because fmt does not call methods on fields it cannot
// reach: a secret in an unexported field of a struct that is printed whole.
// Keep secrets in exported fields or local variables.
//
// All types are plain comparable arrays: copying a key copies its bytes,
// nothing is shared, and the zero value means "not set".
package key

import (
	"crypto/ecdh"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
)

// Size is the length of every key in bytes.
const Size = 32

// encodedLen is the length of a key in base64, its one '=' included.
const encodedLen = 44

// Public is a Curve25519 public key: the name of a peer.
type Public [Size]byte

// ParsePublic reads a public key from base64 as wg(8) does: exactly 44
// characters, no spaces, no stray bits in the last one.
func ParsePublic(s string) (Public, error) { return parse[Public](s) }

// String returns the key in base64.
func (k Public) String() string { return encode(k) }

// Base64 is String, for symmetry with the secret kinds.
func (k Public) Base64() string { return encode(k) }

// Hex returns the key in lower-case hexadecimal, as the UAPI wants it.
func (k Public) Hex() string { return hex.EncodeToString(k[:]) }

// Short abbreviates the key to its first eight characters ("abcdefgh…"), which a
// filter takes, too. It is for eyes, not for lookups: two keys may share it.
func (k Public) Short() string { return encode(k)[:8] + "…" }

// IsZero reports whether the key is not set.
func (k Public) IsZero() bool { return k == Public{} }

// MarshalText writes the key in base64.
func (k Public) MarshalText() ([]byte, error) { return []byte(encode(k)), nil }

// UnmarshalText reads what ParsePublic reads.
func (k *Public) UnmarshalText(text []byte) error {
	p, err := ParsePublic(string(text))
	if err != nil {
		return err
	}
	*k = p
	return nil
}

// Private is a Curve25519 private key. It is not necessarily clamped: wg(8)
// accepts and prints unclamped keys, and the curve's arithmetic clamps anyway.
type Private [Size]byte

// ParsePrivate reads a private key from base64, as ParsePublic does. The error
// never holds any part of s.
func ParsePrivate(s string) (Private, error) { return parse[Private](s) }

// GeneratePrivate returns a new random private key, clamped as RFC 7748
// section 5 describes, which is the form that `wg genkey` prints.
func GeneratePrivate() Private {
	var k Private
	fill(k[:])
	k[0] &= 248
	k[31] = k[31]&127 | 64
	return k
}

// Public computes the public key that belongs to k.
func (k Private) Public() Public {
	priv, err := ecdh.X25519().NewPrivateKey(k[:])
	if err != nil {
		// The only error that X25519 knows is a wrong length, which the type rules out.
		panic(fmt.Sprintf("key: x25519 refuses %d bytes", len(k)))
	}
	return Public(priv.PublicKey().Bytes())
}

// IsZero reports whether the key is not set.
func (k Private) IsZero() bool { return k == Private{} }

// Base64 reveals the key, for commands whose purpose that is.
func (k Private) Base64() string { return encode(k) }

// Hex reveals the key in lower-case hexadecimal, for the UAPI.
func (k Private) Hex() string { return hex.EncodeToString(k[:]) }

// String returns "(hidden)".
func (k Private) String() string { return hidden }

// GoString returns "(hidden)", for fmt's %#v.
func (k Private) GoString() string { return hidden }

// Format writes "(hidden)" whatever the verb.
func (k Private) Format(f fmt.State, _ rune) { writeHidden(f) }

// MarshalText writes "(hidden)".
func (k Private) MarshalText() ([]byte, error) { return []byte(hidden), nil }

// LogValue makes slog write "(hidden)".
func (k Private) LogValue() slog.Value { return slog.StringValue(hidden) }

// Preshared is the optional symmetric key that two peers share. All zeros
// means none, to WireGuard too.
type Preshared [Size]byte

// ParsePreshared reads a preshared key from base64, as ParsePublic does. The
// error never holds any part of s.
func ParsePreshared(s string) (Preshared, error) { return parse[Preshared](s) }

// GeneratePreshared returns a new random preshared key.
func GeneratePreshared() Preshared {
	var k Preshared
	fill(k[:])
	return k
}

// IsZero reports whether the key is not set.
func (k Preshared) IsZero() bool { return k == Preshared{} }

// Base64 reveals the key, for commands whose purpose that is.
func (k Preshared) Base64() string { return encode(k) }

// Hex reveals the key in lower-case hexadecimal, for the UAPI.
func (k Preshared) Hex() string { return hex.EncodeToString(k[:]) }

// String returns "(hidden)".
func (k Preshared) String() string { return hidden }

// GoString returns "(hidden)", for fmt's %#v.
func (k Preshared) GoString() string { return hidden }

// Format writes "(hidden)" whatever the verb.
func (k Preshared) Format(f fmt.State, _ rune) { writeHidden(f) }

// MarshalText writes "(hidden)".
func (k Preshared) MarshalText() ([]byte, error) { return []byte(hidden), nil }

// LogValue makes slog write "(hidden)".
func (k Preshared) LogValue() slog.Value { return slog.StringValue(hidden) }

// hidden stands for a secret wherever text is made, in wg(8)'s wording.
const hidden = "(hidden)"

func writeHidden(f fmt.State) {
	// fmt.State has nowhere to report a failed write to; fmt.Fprintf does.
	_, _ = f.Write([]byte(hidden))
}

var (
	errLength = errors.New("not a key: want 44 characters of base64")
	errBase64 = errors.New("not a key: 44 characters, but not base64 of 32 bytes")
)

func parse[K ~[Size]byte](s string) (K, error) {
	var k K
	if len(s) != encodedLen {
		return k, errLength
	}
	// base64's own error holds no input, but an offset into a secret is more
	// than anybody needs, so errBase64 replaces it. Line breaks, which the
	// decoder skips, show in the length of the result.
	b, err := base64.StdEncoding.Strict().DecodeString(s)
	if err != nil || len(b) != Size {
		return k, errBase64
	}
	return K(b), nil
}

func encode[K ~[Size]byte](k K) string {
	b := [Size]byte(k)
	return base64.StdEncoding.EncodeToString(b[:])
}

func fill(b []byte) {
	// Since Go 1.24 Read never fails: it ends the program if the kernel has no randomness.
	_, _ = rand.Read(b)
}
