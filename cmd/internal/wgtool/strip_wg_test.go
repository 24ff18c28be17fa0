package wgtool

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// strip prints what wg-quick's prints.
func TestStripLikeWgQuick(t *testing.T) {
	if _, err := exec.LookPath("wg-quick"); err != nil || os.Geteuid() != 0 {
		t.Skip("needs wg-quick, and to be root for it")
	}
	dir := t.TempDir()
	for i, text := range []string{
		"", "\n", "\n\n", "[Interface]", "no newline\nat last",
		"[Interface]\nAddress = 10.0.0.1/8\n\tPrivateKey = x # secret\n  MTU=5\nPostUp = echo a = b # c\n\n# PreUp = kept\n" +
			"#\n[Peer]\nAddress = kept\n",
		"address = kept\n[INTERFACE]\r\nADDRESS = gone\r\nDNS = gone\r\nListenPort = 5\r\n[ Peer ]\nTable = kept\n" +
			" [interface] # comment\nTable\n",
		"[Interface]\nSaveConfig = TRUE # yes\nSaveConfig=false\nPre Up = kept\nPreUpx = kept\n[Interface] x\nMTU = kept\n",
		"[Interface]\nBack = \\n slash \\\n\vMTU = gone\nzero\x00byte\n\xff\xfe = bytes\n",
		"[Interface]\nSaveConfig = maybe\n", "[Interface]\nSaveConfig\n",
	} {
		path := filepath.Join(dir, fmt.Sprintf("wg%d.conf", i))
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		want, got := runQuick(t, "strip", path), runWgnode([]string{"strip", path})
		if got.out != want.out || got.status != want.status || (got.errors == "") != (want.errors == "") {
			t.Errorf("%q: %+v, wg-quick: %+v", text, got, want)
		}
	}
	for _, path := range []string{"missing-wg", dir + "/missing.conf", "/dev/null", "/etc/passwd", dir + "/wg0.conf/x"} {
		want, got := runQuick(t, "strip", path), runWgnode([]string{"strip", path})
		if path == dir+"/wg0.conf/x" {
			got.errors, want.errors = "", "" // here the reason is told
		}
		if got != want {
			t.Errorf("strip %s: %+v, wg-quick: %+v", path, got, want)
		}
	}
}

func runQuick(t *testing.T, args ...string) result {
	t.Helper()
	var out, errOut bytes.Buffer
	cmd := exec.Command("wg-quick", args...)
	cmd.Stdout, cmd.Stderr = &out, &errOut
	var exit *exec.ExitError
	if err := cmd.Run(); err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return result{out.String(), strings.ReplaceAll(errOut.String(), "wg-quick: ", "wgnode: "), cmd.ProcessState.ExitCode()}
}
