package webconfig

import (
	"crypto/tls"
	"crypto/x509"
	"net"
	"net/url"
	"path/filepath"
	"testing"

	"github.com/wgnode/wgnode/node/internal/webconfig/webtest"
)

// TestAllowedNames wants a client's certificate to have one of the names, of whatever kind.
func TestAllowedNames(t *testing.T) {
	allowed := []string{"scraper.example", "10.0.0.1", "spiffe://example/scraper", "a@example"}
	for what, c := range map[string]struct {
		cert *x509.Certificate
		want bool
	}{
		"name":           {&x509.Certificate{DNSNames: []string{"other.example", "scraper.example"}}, true},
		"address":        {&x509.Certificate{IPAddresses: []net.IP{net.IPv4(10, 0, 0, 1)}}, true},
		"URI":            {&x509.Certificate{URIs: []*url.URL{{Scheme: "spiffe", Host: "example", Path: "/scraper"}}}, true},
		"mail":           {&x509.Certificate{EmailAddresses: []string{"a@example"}}, true},
		"another":        {&x509.Certificate{DNSNames: []string{"other.example"}}, false},
		"no name":        {&x509.Certificate{}, false},
		"no certificate": {nil, false},
	} {
		var state tls.ConnectionState
		if c.cert != nil {
			state.PeerCertificates = []*x509.Certificate{c.cert}
		}
		if err := checkSANs(state, allowed); (err == nil) != c.want {
			t.Errorf("%s: %v", what, err)
		}
	}
}

// TestTLSKeys wants what stands in the file in the TLS configuration.
func TestTLSKeys(t *testing.T) {
	dir := t.TempDir()
	webtest.Pair(t, dir, "server")
	c := readFile(t, webtest.Write(t, filepath.Join(dir, "web.yml"), webtest.TLS+`  min_version: TLS13
  max_version: TLS13
  cipher_suites: [TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256]
  curve_preferences: [X25519]
  client_auth_type: RequireClientCert
  client_allowed_sans: []
  prefer_server_cipher_suites: false
`)).TLS()
	if c.MinVersion != tls.VersionTLS13 || c.MaxVersion != tls.VersionTLS13 || c.ClientAuth != tls.RequireAnyClientCert ||
		len(c.CipherSuites) != 1 || c.CipherSuites[0] != tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256 ||
		len(c.CurvePreferences) != 1 || c.CurvePreferences[0] != tls.X25519 || len(c.Certificates) != 1 {
		t.Errorf("the configuration is %+v", c)
	}
	if c.VerifyConnection == nil || c.VerifyConnection(tls.ConnectionState{PeerCertificates: []*x509.Certificate{{}}}) == nil {
		t.Error("an empty list of names lets everybody in")
	}
	if plain := readFile(t, webtest.Write(t, filepath.Join(dir, "web.yml"), webtest.TLS)).TLS(); plain.MinVersion != tls.VersionTLS12 {
		t.Errorf("without a word the oldest version is %x", plain.MinVersion)
	}
}
