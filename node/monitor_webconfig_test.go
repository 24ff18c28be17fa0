package node

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/wgnode/wgnode/node/config"
	"github.com/wgnode/wgnode/node/internal/webconfig/webtest"
	"github.com/wgnode/wgnode/probe/key"
	"github.com/wgnode/wgnode/probe/patience"
)

// Other hosts are answered if they show who they are, over TLS. A reload has renewed certificates
// shown, and what is wrong with the files is an error before anything changes.
func TestMetricsForOthers(t *testing.T) {
	dir := t.TempDir()
	old := webtest.Pair(t, dir, "server")
	web := filepath.Join(dir, "web.yml")
	webtest.Write(t, web, webtest.TLS+webtest.User(t, "prometheus", "word"))
	at := "0.0.0.0" + strings.TrimPrefix(freePort(t).Address, "127.0.0.1")
	secret := key.GeneratePrivate().Base64()
	cfg := func() *config.Config {
		c, err := config.ParseTOML(strings.NewReader(fmt.Sprintf("[interface]\nprivate_key = %q\n"+
			"[metrics]\nlisten = %q\nweb_config = %q\n", secret, at, web)), "alice.toml")
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	n := startWith(t, dir, cfg(), Options{})
	get := func(c *http.Client, host, password string) int {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://127.0.0.1"+at[len("0.0.0.0"):]+"/metrics", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Host = host
		if password != "" {
			r.SetBasicAuth("prometheus", password)
		}
		res, err := c.Do(r)
		if err != nil {
			return 0
		}
		defer res.Body.Close()
		body, err := io.ReadAll(res.Body)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(body), "wireguard_device_info") != (res.StatusCode == http.StatusOK) {
			t.Errorf("status %d with\n%s", res.StatusCode, body)
		}
		return res.StatusCode
	}
	before := webtest.Client(t, patience.Limit(), old)
	for _, c := range []struct {
		host, password string
		want           int
	}{{"", "", 401}, {"", "wrong", 401}, {"", "word", 200}, {"evil.example", "word", 421}} {
		if got := get(before, c.host, c.password); got != c.want {
			t.Errorf("%+v: %d", c, got)
		}
	}
	renewed := webtest.Pair(t, dir, "server")
	if err := n.Reload(t.Context(), cfg(), io.Discard); err != nil {
		t.Fatal(err)
	}
	after := webtest.Client(t, patience.Limit(), renewed)
	// A connection that was being answered is told to go; one that was idle has been closed.
	if got := get(before, "", "word"); got == 200 {
		t.Error("who trusts the old certificate is still answered")
	}
	if got := get(after, "", "word"); got != 200 {
		t.Errorf("with the renewed certificate: %d", got)
	}
	for _, wrong := range []string{"", webtest.TLS, "nonsense: 1", webtest.TLS + "basic_auth_users:\n  prometheus: word\n"} {
		webtest.Write(t, web, wrong)
		if err := n.Reload(t.Context(), cfg(), io.Discard); err == nil || strings.Contains(err.Error(), "word\n") {
			t.Errorf("with %q: %v", wrong, err)
		}
	}
	if err := os.Remove(web); err != nil {
		t.Fatal(err)
	}
	if err := n.Reload(t.Context(), cfg(), io.Discard); err == nil || get(after, "", "word") != 200 {
		t.Errorf("without the file: %v", err)
	}
	if _, err := Start(t.Context(), cfg(), Options{Netstack: true, NoUAPI: true, RunDir: t.TempDir()}); err == nil {
		t.Error("a node starts without the file")
	}
}
