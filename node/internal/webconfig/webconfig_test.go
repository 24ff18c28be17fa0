package webconfig

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	toolkit "github.com/prometheus/exporter-toolkit/web"

	"github.com/wgnode/wgnode/node/internal/webconfig/webtest"
	"github.com/wgnode/wgnode/node/safefile"
)

func readFile(t testing.TB, path string) *Config {
	t.Helper()
	c, err := Read(path)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// What an exporter takes is taken, and what it refuses is refused: the toolkit's own examples.
func TestAsToolkit(t *testing.T) {
	out, err := exec.CommandContext(t.Context(), "go", "list", "-m", "-f", "{{.Dir}}", "github.com/prometheus/exporter-toolkit").Output()
	if err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(strings.TrimSpace(string(out)), "web", "testdata", "*"))
	if err != nil || len(files) < 30 {
		t.Fatal(files, err)
	}
	dir := t.TempDir()
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		webtest.Write(t, filepath.Join(dir, filepath.Base(f)), string(text))
	}
	taken := 0
	for _, f := range files {
		if !strings.HasSuffix(f, "ml") {
			continue
		}
		name := filepath.Join(dir, filepath.Base(f))
		_, err := Read(name)
		if want := toolkit.Validate(name); (err == nil) != (want == nil) {
			t.Errorf("%s: %v, and the toolkit says: %v", filepath.Base(f), err, want)
		}
		if err == nil {
			taken++
		}
	}
	if taken < 10 {
		t.Errorf("only %d were taken", taken)
	}
}

// A file that is wrong is refused, without a word of the secrets that it holds.
func TestWrongFiles(t *testing.T) {
	const secret = "hunter2"
	dir := t.TempDir()
	webtest.Pair(t, dir, "server")
	for what, text := range map[string]string{
		"a password that is not hashed": "basic_auth_users:\n  alice: " + secret,
		"no users but a word":           "basic_auth_users: " + secret,
		"no number":                     "rate_limit:\n  burst: " + secret,
		"a list":                        "basic_auth_users: [" + secret + "]",
		"an unknown key":                "bearer_token: " + secret,
		"no YAML":                       "basic_auth_users: {alice: " + secret,
		"no key":                        "tls_server_config:\n  cert_file: server.crt\n",
		"no such file":                  "tls_server_config:\n  cert_file: server.crt\n  key_file: none.key\n",
		"an empty authority":            webtest.TLS + "  client_ca_file: server.key\n  client_auth_type: RequireAndVerifyClientCert\n",
		"a header that cannot be set":   "http_server_config:\n  headers:\n    X-Other: \"1\"\n",
	} {
		_, err := Read(webtest.Write(t, filepath.Join(dir, "web.yml"), text))
		if err == nil {
			t.Errorf("%s: taken", what)
			continue
		}
		if strings.Contains(err.Error(), secret[:5]) {
			t.Errorf("%s: the error holds the secret: %v", what, err)
		}
	}
}

// Nobody else may write what decides who can ask, or read the keys.
func TestOthersFiles(t *testing.T) {
	dir := t.TempDir()
	webtest.Pair(t, dir, "server")
	path := webtest.Write(t, filepath.Join(dir, "web.yml"), webtest.TLS)
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	readFile(t, path)
	for _, c := range []struct {
		file string
		mode os.FileMode
		want string // "": an Untrusted
	}{
		{"web.yml", 0o604, "all users can read"}, {"server.key", 0o644, "all users can read"},
		{"web.yml", 0o602, ""}, {"server.crt", 0o666, ""}, {"server.key", 0o602, ""},
	} {
		name := filepath.Join(dir, c.file)
		if err := os.Chmod(name, c.mode); err != nil {
			t.Fatal(err)
		}
		_, err := Read(path)
		doubt, _ := errors.AsType[*safefile.Untrusted](err)
		if err == nil || !strings.Contains(err.Error(), c.want) || c.want == "" && doubt == nil {
			t.Errorf("%s, mode %o: %v", c.file, c.mode, err)
		}
		if err := os.Chmod(name, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// Others may reach a listener only if they are asked who they are, and cannot hear what others say.
func TestGuards(t *testing.T) {
	dir := t.TempDir()
	webtest.Pair(t, dir, "server")
	users := webtest.User(t, "alice", "x")
	const authority = "  client_ca_file: server.crt\n"
	for text, want := range map[string]bool{
		"":                  false,
		webtest.TLS:         false,
		users:               false,
		webtest.TLS + users: true,
		webtest.TLS + authority + "  client_auth_type: RequireAndVerifyClientCert\n":      true,
		webtest.TLS + "  client_auth_type: RequireAndVerifyClientCert\n":                  false, // of any authority there is
		webtest.TLS + authority + "  client_auth_type: RequireAnyClientCert\n":            false,
		webtest.TLS + authority + "  client_auth_type: VerifyClientCertIfGiven\n":         false,
		webtest.TLS + authority + "  client_auth_type: VerifyClientCertIfGiven\n" + users: true,
	} {
		if err := readFile(t, webtest.Write(t, filepath.Join(dir, "web.yml"), text)).Guards(); (err == nil) != want {
			t.Errorf("%q: %v", text, err)
		}
	}
	if (*Config)(nil).Guards() == nil {
		t.Error("no file guards")
	}
}
