package webconfig

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"time"
)

// file is what stands in a web configuration file. Its types are our own: those of the toolkit
// bring packages with them for which the linker must keep each method of the whole program.
type file struct {
	TLS  tlsServer `yaml:"tls_server_config"`
	HTTP struct {
		HTTP2  bool              `yaml:"http2"` // read, and not spoken
		Header map[string]string `yaml:"headers,omitempty"`
	} `yaml:"http_server_config"`
	Limit struct {
		Burst    int           `yaml:"burst"`
		Interval time.Duration `yaml:"interval"`
	} `yaml:"rate_limit"`
	Users map[string]secret `yaml:"basic_auth_users"`
}

type tlsServer struct {
	Cert        string   `yaml:"cert"`
	Key         secret   `yaml:"key"`
	ClientCA    string   `yaml:"client_ca"`
	CertFile    string   `yaml:"cert_file"`
	KeyFile     string   `yaml:"key_file"`
	ClientAuth  string   `yaml:"client_auth_type"`
	ClientFile  string   `yaml:"client_ca_file"`
	Ciphers     []cipher `yaml:"cipher_suites"`
	Curves      []curve  `yaml:"curve_preferences"`
	Min         version  `yaml:"min_version"`
	Max         version  `yaml:"max_version"`
	PreferOurs  bool     `yaml:"prefer_server_cipher_suites"` // read, and of no effect
	AllowedSANs []string `yaml:"client_allowed_sans"`         // nil: any
}

// secret does not print itself.
type secret string

func (secret) String() string   { return "(hidden)" }
func (secret) GoString() string { return "(hidden)" }

type (
	cipher  uint16
	curve   tls.CurveID
	version uint16
)

var (
	curves = map[string]curve{
		"CurveP256": curve(tls.CurveP256), "CurveP384": curve(tls.CurveP384),
		"CurveP521": curve(tls.CurveP521), "X25519": curve(tls.X25519),
	}
	versions = map[string]version{
		"TLS10": tls.VersionTLS10, "TLS11": tls.VersionTLS11, "TLS12": tls.VersionTLS12, "TLS13": tls.VersionTLS13,
	}
	// clientAuths are the ways to ask for a client's certificate; RequireClientCert is an old name.
	clientAuths = map[string]tls.ClientAuthType{
		"": tls.NoClientCert, "NoClientCert": tls.NoClientCert,
		"RequestClientCert":    tls.RequestClientCert,
		"RequireAnyClientCert": tls.RequireAnyClientCert, "RequireClientCert": tls.RequireAnyClientCert,
		"VerifyClientCertIfGiven":    tls.VerifyClientCertIfGiven,
		"RequireAndVerifyClientCert": tls.RequireAndVerifyClientCert,
	}
	// headers are those that a file may set, and to what; nil is anything.
	headers = map[string][]string{
		"Strict-Transport-Security": nil,
		"X-Content-Type-Options":    {"nosniff"},
		"X-Frame-Options":           {"deny", "sameorigin"},
		"X-XSS-Protection":          nil,
		"Content-Security-Policy":   nil,
	}
)

// UnmarshalYAML reads the name of a cipher suite that is not insecure.
func (c *cipher) UnmarshalYAML(unmarshal func(any) error) error {
	named := make(map[string]cipher)
	for _, suite := range tls.CipherSuites() {
		named[suite.Name] = cipher(suite.ID)
	}
	return byName(unmarshal, "cipher suite", named, c)
}

// UnmarshalYAML reads the name of a curve.
func (c *curve) UnmarshalYAML(unmarshal func(any) error) error {
	return byName(unmarshal, "curve", curves, c)
}

// UnmarshalYAML reads the name of a version of TLS.
func (v *version) UnmarshalYAML(unmarshal func(any) error) error {
	return byName(unmarshal, "version of TLS", versions, v)
}

// byName reads a name of a list. An error does not quote it: it may be a secret in the wrong place.
func byName[T any](unmarshal func(any) error, what string, names map[string]T, to *T) error {
	var name string
	if err := unmarshal(&name); err != nil {
		return err
	}
	v, ok := names[name]
	if !ok {
		return fmt.Errorf("unknown %s", what)
	}
	*to = v
	return nil
}

func checkHeaders(set map[string]string) error {
	for name, value := range set {
		values, ok := headers[name]
		if !ok {
			return fmt.Errorf("header %q cannot be set", name)
		}
		if values != nil && !slices.Contains(values, value) {
			return fmt.Errorf("header %s cannot be %q, but one of %q", name, value, values)
		}
	}
	return nil
}

// enabled says whether anything of TLS is set.
func (t *tlsServer) enabled() bool {
	return t.Cert != "" || t.Key != "" || t.ClientCA != "" || t.CertFile != "" || t.KeyFile != "" || t.ClientFile != "" || t.ClientAuth != ""
}

// absolute has relative paths begin where the file is.
func (t *tlsServer) absolute(dir string) {
	for _, path := range []*string{&t.CertFile, &t.KeyFile, &t.ClientFile} {
		if *path != "" && !filepath.IsAbs(*path) {
			*path = filepath.Join(dir, *path)
		}
	}
}

// config is what the TLS server does. The certificates stand in t itself.
func (t *tlsServer) config() (*tls.Config, error) {
	switch {
	case t.Cert == "":
		return nil, errors.New("missing one of cert or cert_file")
	case t.Key == "":
		return nil, errors.New("missing one of key or key_file")
	}
	pair, err := tls.X509KeyPair([]byte(t.Cert), []byte(t.Key))
	if err != nil {
		return nil, fmt.Errorf("read certificate and key: %w", err)
	}
	auth, ok := clientAuths[t.ClientAuth]
	if !ok {
		return nil, errors.New("unknown client_auth_type")
	}
	c := &tls.Config{
		MinVersion: uint16(t.Min), MaxVersion: uint16(t.Max), Certificates: []tls.Certificate{pair}, ClientAuth: auth,
	}
	for _, suite := range t.Ciphers {
		c.CipherSuites = append(c.CipherSuites, uint16(suite))
	}
	for _, id := range t.Curves {
		c.CurvePreferences = append(c.CurvePreferences, tls.CurveID(id))
	}
	if t.ClientCA != "" {
		if auth == tls.NoClientCert {
			return nil, errors.New("client_ca_file without a client_auth_type")
		}
		c.ClientCAs = x509.NewCertPool()
		if !c.ClientCAs.AppendCertsFromPEM([]byte(t.ClientCA)) {
			return nil, errors.New("client_ca_file: there is no certificate in it")
		}
	}
	if t.AllowedSANs != nil && auth != tls.NoClientCert {
		// Also where a session goes on, which VerifyPeerCertificate is not asked about.
		c.VerifyConnection = func(state tls.ConnectionState) error { return checkSANs(state, t.AllowedSANs) }
	}
	return c, nil
}

// checkSANs wants the client to have shown a certificate with one of the names, even where none is
// demanded otherwise.
func checkSANs(state tls.ConnectionState, allowed []string) error {
	if len(state.PeerCertificates) == 0 {
		return errors.New("client_allowed_sans, and the client has no certificate")
	}
	cert := state.PeerCertificates[0]
	names := slices.Concat(cert.DNSNames, cert.EmailAddresses)
	for _, ip := range cert.IPAddresses {
		names = append(names, ip.String())
	}
	for _, uri := range cert.URIs {
		names = append(names, uri.String())
	}
	if !slices.ContainsFunc(names, func(name string) bool { return slices.Contains(allowed, name) }) {
		return fmt.Errorf("no subject alternative name of the client's certificate is among client_allowed_sans: %v", allowed)
	}
	return nil
}
