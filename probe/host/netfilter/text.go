//go:build linux

package netfilter

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// listing is what programs say of the rules of one table. It is the programs
// that know the languages: each of them has more words than are worth knowing
// here.
type listing struct {
	nft   map[uint64]string
	noNFT string // why there is none
	// iptables has the rules by chain and in order, if the table is one of
	// iptables-nft's. Its rules may be such that nft can only hint at them.
	iptables map[string][]string
	program  string
}

// list asks nft, and iptables where the table may be of its making.
func list(table Table) *listing {
	l := &listing{}
	// Without contents of named sets, and without counters.
	out, err := output("nft", "--handle", "--terse", "--stateless", "list", "table", table.Family, table.Name)
	switch {
	case errors.Is(err, exec.ErrNotFound):
		l.noNFT = "the nft program is not installed"
	case err != nil:
		l.noNFT = err.Error()
	default:
		l.nft = parseNFT(out)
	}
	if program, ok := map[string]string{"ip": "iptables", "ip6": "ip6tables"}[table.Family]; ok && iptablesTable(table.Name) {
		if out, err := output(program+"-nft-save", "-t", table.Name); err == nil {
			l.program, l.iptables = program, parseIPTables(out)
		}
	}
	return l
}

// describe puts the text of a rule into r, whose chain has the given number of
// rules.
func (l *listing) describe(r *Rule, rules int) {
	// Iptables does not tell handles. Its rules are told by their places,
	// provided that it sees as many as there are.
	if in := l.iptables[r.Chain]; len(in) == rules && r.Position <= len(in) {
		r.Text, r.Program = in[r.Position-1], l.program
		return
	}
	r.Program = "nft"
	if l.noNFT != "" {
		r.NoText = l.noNFT
		return
	}
	if r.Text = l.nft[r.Handle]; r.Text == "" {
		r.NoText = "nft does not list it"
	}
}

func iptablesTable(name string) bool {
	return slices.Contains([]string{"filter", "nat", "mangle", "raw", "security"}, name)
}

// output runs a program in the network namespace of the calling thread.
func output(name string, args ...string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	out, err := cmd.Output()
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
		return nil, fmt.Errorf("%s: %w: %s", name, err, bytes.TrimSpace(exit.Stderr))
	}
	return out, err
}

var handleSuffix = regexp.MustCompile(`^(.*) # handle (\d+)$`)

// parseNFT reads the rules in the output of nft -a list table, by their
// handles. A rule with many values may be written on several lines, of which
// the last has the handle. Chains and sets have handles too, and end with an
// opening brace.
func parseNFT(out []byte) map[uint64]string {
	rules := map[uint64]string{}
	var lines []string
	inChain := false
	for line := range strings.Lines(string(out)) {
		line = strings.TrimSpace(line)
		m := handleSuffix.FindStringSubmatch(line)
		switch {
		case m != nil && strings.HasSuffix(m[1], " {") || strings.HasSuffix(line, " {") && !inChain:
			inChain, lines = strings.HasPrefix(line, "chain "), nil
		case !inChain, line == "", len(lines) == 0 && m == nil && aboutChain(line):
		case line == "}" && len(lines) == 0:
			inChain = false
		case m == nil:
			lines = append(lines, line)
		default:
			handle, err := strconv.ParseUint(m[2], 10, 64)
			if err == nil {
				text := strings.Join(append(lines, m[1]), " ")
				rules[handle] = strings.ReplaceAll(text, "  ", " ")
			}
			lines = nil
		}
	}
	return rules
}

// aboutChain reports whether a line without a handle is about the chain itself.
func aboutChain(line string) bool {
	return strings.HasPrefix(line, "type ") && strings.HasSuffix(line, ";") || strings.HasPrefix(line, `comment "`)
}

// parseIPTables reads the rules in the output of iptables-save, by chain.
func parseIPTables(out []byte) map[string][]string {
	rules := map[string][]string{}
	for line := range strings.Lines(string(out)) {
		line = strings.TrimSuffix(line, "\n")
		if rest, ok := strings.CutPrefix(line, "-A "); ok {
			chain, _, _ := strings.Cut(rest, " ")
			rules[chain] = append(rules[chain], line)
		}
	}
	return rules
}
