package plan

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/wgnode/wgnode/node/config"
	"github.com/wgnode/wgnode/node/hook"
)

// lastOld is the latest wg-quick that does what [Changed] tells of in the old way.
// Distributions still have it.
const lastOld = "1.0.20210914"

// Changed returns what a file of wg-quick's comes to mean that was written for an
// old one, a sentence for each kind of change. [Build] follows the one of today.
func Changed(cfg *config.Config, host State) []string {
	if !strings.HasSuffix(cfg.Path, ".conf") {
		return nil
	}
	var said []string
	say := func(format string, args ...any) {
		said = append(said, fmt.Sprintf(format, args...)+" up to "+lastOld)
	}
	if at := firstHook(cfg, func(p hook.Phase, command string) bool { return p == hook.PreUp && needsNoLink(command, cfg.Name) }); at != "" {
		say("%s: PreUp runs when %s is there, as with today's wg-quick; it ran before", at, cfg.Name)
	}
	if at := firstHook(cfg, func(_ hook.Phase, command string) bool { return keepsNumberSign(command) }); at != "" {
		say("%s: a hook keeps what follows a #, as with today's wg-quick; it was cut off", at)
	}
	if mtus := host.EndpointMTUs; cfg.Interface.MTU == 0 && len(mtus) > 1 {
		say("the MTU fits the smallest MTU on the routes to the endpoints (%d), as with today's wg-quick; it was the largest (%d)",
			slices.Min(mtus), slices.Max(mtus))
	}
	return said
}

// firstHook returns the place of the first hook that which picks, "" for none.
func firstHook(cfg *config.Config, which func(hook.Phase, string) bool) string {
	for _, p := range []hook.Phase{hook.PreUp, hook.PostUp, hook.PreDown, hook.PostDown} {
		for i, command := range Hooks(cfg, p) {
			if which(p, command) {
				return cfg.HookPlace(string(p), i)
			}
		}
	}
	return ""
}

// aboutLink matches commands that make, remove or look for a link. The others that
// name it either do not care whether it is there, as iptables, or have failed where
// it was not.
var aboutLink = regexp.MustCompile(`\bip\s+(-\S+\s+)*(l(ink)?|tuntap|a(ddr(ess)?)?)\s+(add|del|delete|show|sh|list|ls)\b` +
	`|\bwg\s+show|\bwg-quick\b|\bifconfig\b|/sys/class/net/|\b(wireguard|amneziawg)-go\b|\bboringtun`)

// needsNoLink reports whether a PreUp may do something else when the link is there.
func needsNoLink(command, link string) bool {
	names := strings.Contains(command, "%i") || strings.Contains(command, "INTERFACE") ||
		slices.Contains(strings.FieldsFunc(command, endsWord), link)
	return names && aboutLink.MatchString(command)
}

func endsWord(r rune) bool { return strings.ContainsRune(" \t;&|()/\"'", r) }

// keepsNumberSign reports whether the first # of a command begins no comment of
// bash's.
func keepsNumberSign(command string) bool {
	quote := rune(0)
	before := ' ' // the start of a word
	for i := 0; i < len(command); i++ {
		c := rune(command[i])
		switch {
		case c == '#':
			return quote != 0 || !strings.ContainsRune(" \t\n;&|()", before)
		case c == '\\' && quote != '\'':
			if i++; i < len(command) && command[i] == '#' {
				return true
			}
			c = 'x' // whatever it is, it is part of a word
		case quote == 0 && (c == '\'' || c == '"'):
			quote = c
		case c == quote:
			quote = 0
			c = 'x'
		}
		before = c
	}
	return false
}
