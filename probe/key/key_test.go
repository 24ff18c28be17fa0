package key

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os/exec"
	"strings"
	"testing"
)

// The key pair of RFC 7748 section 6.1, Alice.
const (
	alicePrivate = "dwdtCnMYpX08FsFyUbJmRd9ML4frwJkqsXf7pR25LCo="
	alicePublic  = "hSDwCYkwp1R0i33ctD73Wg2/Og0mOBr066SpjqqbTmo="
)

func TestPublicOfPrivate(t *testing.T) {
	priv, err := ParsePrivate(alicePrivate)
	if err != nil {
		t.Fatal(err)
	}
	if got := priv.Public().String(); got != alicePublic {
		t.Errorf("public key is %s, want %s", got, alicePublic)
	}
}

// wg(8) is the reference for what a key looks like.
func TestAgreesWithWg(t *testing.T) {
	wg, err := exec.LookPath("wg")
	if err != nil {
		t.Skip("wg is not installed")
	}
	priv := GeneratePrivate()
	cmd := exec.Command(wg, "pubkey")
	cmd.Stdin = strings.NewReader(priv.Base64() + "\n")
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	if got, want := priv.Public().String(), strings.TrimSpace(string(out)); got != want {
		t.Errorf("public key is %s, wg says %s", got, want)
	}
}

func TestParseRefuses(t *testing.T) {
	for _, tc := range []struct{ name, in string }{
		{"empty", ""},
		{"short", alicePublic[:43]},
		{"long", alicePublic + "="},
		{"leading space", " " + alicePublic},
		{"no padding", strings.Replace(alicePublic, "=", "A", 1)},
		{"two paddings", alicePublic[:42] + "=="},
		{"stray bits", alicePublic[:42] + "p="},
		{"url alphabet", strings.Replace(alicePublic, "/", "_", 1)},
		{"line break inside", alicePublic[:20] + "\n" + alicePublic[21:]},
		{"line breaks only", strings.Repeat("\n", 44)},
		{"hex", strings.Repeat("0f", 22)},
	} {
		t.Run(tc.name, func(t *testing.T) {
			k, err := ParsePublic(tc.in)
			if err == nil {
				t.Errorf("accepted as %v", k)
			}
			_, err = ParsePrivate(tc.in)
			if err == nil {
				t.Fatal("accepted as a private key")
			}
			if part := strings.TrimSpace(tc.in); len(part) > 8 && strings.Contains(err.Error(), part[:4]) {
				t.Errorf("error %q holds a part of the key", err)
			}
		})
	}
}

func TestForms(t *testing.T) {
	k, err := ParsePublic(alicePublic)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := k.Short(), "hSDwCYkw…"; got != want {
		t.Errorf("Short() = %s, want %s", got, want)
	}
	if got, want := k.Hex(), "8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a"; got != want {
		t.Errorf("Hex() = %s, want %s", got, want)
	}
	b, err := json.Marshal(k)
	if err != nil {
		t.Fatal(err)
	}
	var back Public
	if err := json.Unmarshal(b, &back); err != nil || back != k {
		t.Errorf("through JSON %s became %s (%v)", k, back, err)
	}
	if err := json.Unmarshal([]byte(`"nonsense"`), &back); err == nil || back != k {
		t.Errorf("bad JSON: error %v, key %s; want an error and the key untouched", err, back)
	}
}

func TestGenerate(t *testing.T) {
	a, b := GeneratePrivate(), GeneratePrivate()
	if a == b || a.IsZero() {
		t.Error("two private keys are equal or zero")
	}
	if a[0]&7 != 0 || a[31]&128 != 0 || a[31]&64 == 0 {
		t.Error("private key is not clamped")
	}
	p, q := GeneratePreshared(), GeneratePreshared()
	if p == q || p.IsZero() {
		t.Error("two preshared keys are equal or zero")
	}
	if back, err := ParsePreshared(p.Base64()); err != nil || back != p {
		t.Errorf("preshared key does not survive base64: %v", err)
	}
}

// Whatever a careless line of code does with a secret, it must not show.
func TestSecretsStayHidden(t *testing.T) {
	// One byte repeated makes a leak easy to see in any notation.
	priv, psk := Private(bytes.Repeat([]byte{0xa7}, 32)), Preshared(bytes.Repeat([]byte{0xa7}, 32))
	type holder struct {
		Priv Private
		Psk  Preshared
		Ptr  *Private
		All  []Preshared
		Map  map[string]Private
	}
	h := holder{priv, psk, &priv, []Preshared{psk}, map[string]Private{"k": priv}}

	// The digits of a time stamp could look like the key.
	noTime := &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey {
			return slog.Attr{}
		}
		return a
	}}
	var texts []string
	for _, v := range []any{priv, psk, &priv, &psk, h, &h} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "% x", "%d", "%b", "%o", "%c", "%U", "%t", "%e"} {
			texts = append(texts, fmt.Sprintf(verb, v))
		}
		j, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		texts = append(texts, string(j), errors.Join(fmt.Errorf("wrapped: %v", v)).Error())
		var log bytes.Buffer
		slog.New(slog.NewTextHandler(&log, noTime)).Info("m", "key", v)
		slog.New(slog.NewJSONHandler(&log, noTime)).Info("m", "key", v)
		texts = append(texts, log.String())
	}
	for _, s := range texts {
		low := strings.ToLower(s)
		for _, leak := range []string{"a7a7", "a7 a7", "p6en", "167", "0xa7", "10100111", "247", "u+00a7", "§"} {
			if strings.Contains(low, leak) {
				t.Errorf("%q holds the key", s)
			}
		}
	}
	if got := fmt.Sprintf("%v %x", priv, psk); got != "(hidden) (hidden)" {
		t.Errorf("got %q", got)
	}
}
