package main

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"github.com/wgnode/wgnode/cmd/internal/cli"
	"github.com/wgnode/wgnode/probe/diagnose"
	"github.com/wgnode/wgnode/probe/schema/schematest"
)

// wgnodeSays runs a command line that must succeed and returns what it prints.
func wgnodeSays(t *testing.T, args string) string {
	t.Helper()
	var out, errOut strings.Builder
	if status := run(append([]string{"wgnode"}, strings.Fields(args)...), strings.NewReader(""), &out, &errOut); status != 0 {
		t.Fatalf("%s: status %d\n%s", args, status, errOut.String())
	}
	return out.String()
}

// Every code is explained, by explain and by help in the same words, as text and as JSON.
func TestExplainCode(t *testing.T) {
	for _, c := range diagnose.Codes() {
		code := string(c)
		text := wgnodeSays(t, "explain "+code)
		if !strings.HasPrefix(text, code+" (") || !strings.Contains(text, "\nWhat to do\n") {
			t.Errorf("%s: %s", code, text)
		}
		if help := wgnodeSays(t, "help "+strings.ToUpper(code)); help != text {
			t.Errorf("%s: help says\n%s\nexplain\n%s", code, help, text)
		}
		var report struct {
			Schema                     int
			Code, Class, Meaning, Mend string
			Alike                      []struct{ Code, Check string }
		}
		printed := []byte(wgnodeSays(t, "explain --json "+code))
		if err := json.Unmarshal(printed, &report); err != nil {
			t.Fatal(err)
		}
		if err := schematest.Validate("code", printed); err != nil {
			t.Errorf("%s: %v", code, err)
		}
		if report.Schema != 1 || report.Code != code || report.Class != string(c.Class()) || report.Meaning == "" || report.Mend == "" ||
			len(report.Alike) == 0 {
			t.Errorf("%s: JSON is %+v", code, report)
		}
	}
}

// A code and a command never have the same name: help would not know which is meant.
func TestNoCodeIsACommand(t *testing.T) {
	for _, cmd := range newRootCommand().Commands() {
		if _, ok := cli.KnownCode(cmd.Name()); ok || cmd.Name() == cli.VerdictsTopic {
			t.Errorf("%s is a command and a topic", cmd.Name())
		}
	}
	list := wgnodeSays(t, "help "+cli.VerdictsTopic)
	for _, c := range diagnose.Codes() {
		if !strings.Contains(list, "\n"+string(c)+"\n") {
			t.Errorf("%s is not listed", c)
		}
	}
}

// The shell completes codes once a letter is typed.
func TestCompleteCodes(t *testing.T) {
	for _, command := range []string{"help", "explain"} {
		offered := strings.Split(wgnodeSays(t, "__completeNoDesc "+command+" psk"), "\n")
		if !slices.Contains(offered, string(diagnose.PSKMismatch)) || slices.Contains(offered, string(diagnose.NoReply)) {
			t.Errorf("%s: offers %q", command, offered)
		}
	}
	if offered := cli.CompleteCodes(""); offered != nil {
		t.Errorf("before a letter: %q", offered)
	}
	if offered := cli.CompleteCodes("idle"); !slices.Equal(offered,
		[]string{cobra.CompletionWithDesc("idle", "there was no traffic to judge")}) {
		t.Errorf("%q", offered)
	}
}
