package wgtool

import (
	"bytes"
	"errors"
	"os/exec"
	"strings"
	"testing"
)

// pubkey takes and refuses what wg takes and refuses.
func TestPubkeyLikeWg(t *testing.T) {
	if _, err := exec.LookPath("wg"); err != nil {
		t.Skipf("needs wg: %v", err)
	}
	const private = "dwdtCnMYpX08FsFyUbJmRd9ML4frwJkqsXf7pR25LCo="
	for _, input := range []string{
		private, private + "\n", private + " \t\r\n\v\f\n", private + "\x00", private + "\x00x", private + "\n\n" + private,
		" " + private, "\n" + private, "", "\n", private[:43], private[:43] + "\n", private + "=", private + "\xa0",
		strings.Repeat("A", 43) + "=", strings.Repeat("/", 43) + "=", strings.Repeat("A", 42) + "8=", strings.Repeat("A", 44),
		strings.Replace(private, "d", "-", 1), strings.Replace(private, "d", "\n", 1), strings.Repeat("=", 44),
	} {
		var wgOut, wgErr, out, errOut bytes.Buffer
		cmd := exec.Command("wg", "pubkey")
		cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(input), &wgOut, &wgErr
		var exit *exec.ExitError
		if err := cmd.Run(); err != nil && !errors.As(err, &exit) {
			t.Fatal(err)
		}
		status := runProgram([]string{"wgnode", "pubkey"}, strings.NewReader(input), &out, &errOut)
		wantErr := strings.Replace(wgErr.String(), "wg: ", "wgnode: ", 1)
		if status != cmd.ProcessState.ExitCode() || out.String() != wgOut.String() || errOut.String() != wantErr {
			t.Errorf("%q: status %d, %q, %q; wg: status %d, %q, %q",
				input, status, &out, &errOut, cmd.ProcessState.ExitCode(), &wgOut, wantErr)
		}
	}
}
