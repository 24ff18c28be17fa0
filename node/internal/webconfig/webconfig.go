// Package webconfig has a listener answer only those whom a web configuration file names: the
// file that Prometheus and its exporters share (prometheus/exporter-toolkit), with certificates,
// users and client certificates. A file which an exporter takes is taken here, and means the same:
// the toolkit's examples are held against it.
//
// What differs is when. The toolkit reads the file again for each request. Here it is read
// once, with the certificates in it, and again when the node is told to reload: a file that is
// wrong is an error before anything changes, and one that has lost its users while others can
// reach the listener never opens it. HTTP/2 is not spoken: a scrape gains nothing by it.
package webconfig

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"

	"go.yaml.in/yaml/v2"
	"golang.org/x/crypto/bcrypt"
	"golang.org/x/time/rate"

	"github.com/wgnode/wgnode/node/config"
	"github.com/wgnode/wgnode/node/safefile"
)

// maxFile is the largest file that is read, in bytes.
const maxFile = 1 << 20

// Config is a web configuration file with the certificates that it names. It is safe for use by
// several at a time.
type Config struct {
	path     string
	tls      *tls.Config // nil: plain HTTP
	headers  map[string]string
	users    *users        // nil: whoever may connect
	limit    *rate.Limiter // of all requests; nil: none
	verified bool          // a client has a certificate of an authority that the file names
}

// Read reads the file. The error is a [safefile.Untrusted] if others than root and this user could
// have written the file or one that it names.
func Read(path string) (*Config, error) {
	fail := func(err error) (*Config, error) { return nil, fmt.Errorf("read web configuration %s: %w", path, err) }
	text, err := readSecret(path)
	if err != nil {
		return fail(err)
	}
	f := file{TLS: tlsServer{Min: tls.VersionTLS12, Max: tls.VersionTLS13}}
	if err := yaml.UnmarshalStrict(text, &f); err != nil {
		return fail(withoutValues(err))
	}
	for user, hash := range f.Users {
		if _, err := bcrypt.Cost([]byte(hash)); err != nil {
			return fail(fmt.Errorf("basic_auth_users: what stands for %q is not a bcrypt hash of the password", user))
		}
	}
	if err := checkHeaders(f.HTTP.Header); err != nil {
		return fail(fmt.Errorf("http_server_config: %w", err))
	}
	f.TLS.absolute(filepath.Dir(path))
	if err := inline(&f.TLS); err != nil {
		return fail(err)
	}
	c := &Config{path: path, headers: f.HTTP.Header, users: newUsers(f.Users)}
	if every := f.Limit.Interval; every != 0 {
		c.limit = rate.NewLimiter(rate.Every(every), f.Limit.Burst)
	}
	if !f.TLS.enabled() {
		return c, nil
	}
	if c.tls, err = f.TLS.config(); err != nil {
		return fail(fmt.Errorf("tls_server_config: %w", err))
	}
	c.tls.NextProtos = []string{"http/1.1"}
	c.verified = c.tls.ClientAuth == tls.RequireAndVerifyClientCert && c.tls.ClientCAs != nil
	return c, nil
}

// TLS is how connections are encrypted, nil for not at all.
func (c *Config) TLS() *tls.Config {
	if c == nil {
		return nil
	}
	return c.tls
}

// Guards returns why a listener with c must not be reached from other hosts, nil if it may.
func (c *Config) Guards() error {
	switch {
	case c == nil:
		return errors.New("others can reach the address: it needs a web configuration file, with a certificate and users")
	case c.tls == nil:
		return fmt.Errorf("%s has no certificate, and others can reach the address: passwords would cross the network in clear text", c.path)
	case c.users == nil && !c.verified:
		return fmt.Errorf("%s lets everybody ask, and others can reach the address: it needs basic_auth_users, or client_ca_file "+
			"with client_auth_type RequireAndVerifyClientCert", c.path)
	}
	return nil
}

// readSecret reads a file that only root and this user can have written, and nobody else can read.
func readSecret(path string) ([]byte, error) {
	return read(path, func(f *os.File) error {
		open, err := config.WorldAccessible(f)
		if err == nil && open {
			err = fmt.Errorf("all users can read %s, which holds a secret", f.Name())
		}
		return err
	})
}

func read(path string, look func(f *os.File) error) ([]byte, error) {
	f, err := safefile.Open(path, safefile.Mine())
	if err != nil {
		return nil, err
	}
	defer f.Close() // nothing was written
	if err := look(f); err != nil {
		return nil, err
	}
	text, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err == nil && len(text) > maxFile {
		err = fmt.Errorf("%s is larger than %d bytes", path, maxFile)
	}
	return text, err
}

// inline has the certificates that files hold stand in the configuration itself.
func inline(t *tlsServer) error {
	for _, f := range []struct {
		key  string
		path *string
		take func(text string)
		read func(path string) ([]byte, error)
	}{
		{"cert_file", &t.CertFile, func(text string) { t.Cert = text }, readPublic},
		{"key_file", &t.KeyFile, func(text string) { t.Key = secret(text) }, readSecret},
		{"client_ca_file", &t.ClientFile, func(text string) { t.ClientCA = text }, readPublic},
	} {
		if *f.path == "" {
			continue
		}
		text, err := f.read(*f.path)
		if err != nil {
			return fmt.Errorf("%s: %w", f.key, err)
		}
		f.take(string(text))
	}
	return nil
}

func readPublic(path string) ([]byte, error) {
	return read(path, func(*os.File) error { return nil })
}

// quoted matches what a parser of YAML says that the file holds, which may be a secret.
var quoted = regexp.MustCompile("`[^`]*`")

// withoutValues is an error of the parser without what the file holds.
func withoutValues(err error) error {
	if t, ok := errors.AsType[*yaml.TypeError](err); ok {
		lines := slices.Clone(t.Errors)
		for i := range lines {
			lines[i] = quoted.ReplaceAllString(lines[i], "(hidden)")
		}
		return &yaml.TypeError{Errors: lines}
	}
	return err
}
