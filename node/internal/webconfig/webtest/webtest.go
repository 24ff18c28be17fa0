// Package webtest makes, for tests, what a web configuration file names.
package webtest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/crypto/bcrypt"
)

// TLS is the part of a file that names the pair "server", beside it.
const TLS = "tls_server_config:\n  cert_file: server.crt\n  key_file: server.key\n"

// Write writes a file that nobody else can read.
func Write(t testing.TB, path, text string) string {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// Pair writes a certificate for 127.0.0.1 of that name, which is its own authority, and its key:
// NAME.crt and NAME.key.
func Pair(t testing.TB, dir, name string) tls.Certificate {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	of := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}}
	cert, err := x509.CreateCertificate(rand.Reader, of, of, private.Public(), private)
	if err != nil {
		t.Fatal(err)
	}
	key, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	public := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert})
	secret := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key})
	Write(t, filepath.Join(dir, name+".crt"), string(public))
	Write(t, filepath.Join(dir, name+".key"), string(secret))
	both, err := tls.X509KeyPair(public, secret)
	if err != nil {
		t.Fatal(err)
	}
	return both
}

// User is the part of a file that has a user, whose password is quickly verified.
func User(t testing.TB, name, password string) string {
	t.Helper()
	hash, err := bcrypt.GenerateFromPassword([]byte(password), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	return "basic_auth_users:\n  " + name + ": " + string(hash) + "\n"
}

// Client trusts a certificate, and shows others.
func Client(t testing.TB, limit time.Duration, trusted tls.Certificate, own ...tls.Certificate) *http.Client {
	pool := x509.NewCertPool()
	pool.AddCert(trusted.Leaf)
	tr := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool, Certificates: own}}
	t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr, Timeout: limit}
}
