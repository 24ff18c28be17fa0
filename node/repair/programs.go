package repair

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// errBlank: a step has words in capitals, in whose place the user is to write.
var errBlank = errors.New("only you know what to write there")

// forwarding are the parameters that set others when they are written.
var forwarding = map[string]string{
	"net.ipv4.ip_forward":          "/proc/sys/net/ipv4/conf/*/forwarding",
	"net.ipv4.conf.all.forwarding": "/proc/sys/net/ipv4/conf/*/forwarding",
	"net.ipv6.conf.all.forwarding": "/proc/sys/net/ipv6/conf/*/forwarding",
}

// ofSysctl is sysctl -w NAME=VALUE.
func ofSysctl(ctx context.Context, args []string) (Deed, error) {
	if len(args) != 3 || args[1] != "-w" {
		return Deed{}, errForeign
	}
	name, _, _ := strings.Cut(args[2], "=")
	path := "/proc/sys/" + sysctlPath(name)
	look := []string{"cat", path}
	old, err := run(ctx, look...)
	if err != nil {
		return Deed{}, err
	}
	d := Deed{Look: look, Undo: [][]string{{"sysctl", "-w", name + "=" + strings.TrimSpace(old)}}}
	also, err := filepath.Glob(forwarding[name])
	if err != nil {
		return Deed{}, err
	}
	for _, file := range also {
		value, err := os.ReadFile(file)
		if err != nil {
			return Deed{}, err
		}
		if link := filepath.Base(filepath.Dir(file)); link != "all" {
			d.Undo = append(d.Undo, []string{"sysctl", "-w", strings.TrimPrefix(file, "/proc/sys/") + "=" + strings.TrimSpace(string(value))})
		}
	}
	return d, nil
}

// sysctlPath is the path of a parameter below /proc/sys. Of the two separators that
// sysctl(8) takes the first one that is there is meant; the other stands for itself.
func sysctlPath(name string) string {
	if i := strings.IndexAny(name, "./"); i < 0 || name[i] == '/' {
		return name
	}
	return strings.NewReplacer(".", "/", "/", ".").Replace(name)
}

// ofNFT is nft insert or add rule FAMILY TABLE CHAIN ....
func ofNFT(_ context.Context, args []string) (Deed, error) {
	if len(args) < 7 || args[1] != "insert" && args[1] != "add" || args[2] != "rule" {
		return Deed{}, errForeign
	}
	return Deed{Do: append([]string{"nft", "-a", "-e"}, args[1:]...), Rule: &rule{Chain: args[3:6]}}, nil
}

var handle = regexp.MustCompile(`# handle (\d+)`)

// learn reads the handle of the rule from what nft says of it.
func (r *rule) learn(out string) error {
	m := handle.FindStringSubmatch(out)
	if m == nil {
		return errors.New("nft does not say the handle of the rule that it has added")
	}
	r.Handle = m[1]
	return nil
}

// delete removes the rule, if it is still there: the numbers of handles are not used again.
func (r *rule) delete(ctx context.Context) error {
	out, err := run(ctx, append([]string{"nft", "-a", "list", "chain"}, r.Chain...)...)
	if err != nil || !slices.ContainsFunc(lines(out), func(line string) bool { return strings.HasSuffix(line, "# handle "+r.Handle) }) {
		return &ChangedError{"the rule is no longer in the chain " + strings.Join(r.Chain, " ")}
	}
	_, err = run(ctx, append(append([]string{"nft", "delete", "rule"}, r.Chain...), "handle", r.Handle)...)
	return err
}

// ofIPTables is iptables -I or -A CHAIN ..., and then the words of a rule.
func ofIPTables(_ context.Context, args []string) (Deed, error) {
	i := slices.IndexFunc(args, func(w string) bool { return w == "-I" || w == "-A" })
	if i < 0 || len(args) < i+3 {
		return Deed{}, errForeign
	}
	undo := slices.Clone(args)
	undo[i] = "-D"
	if n := i + 2; strings.Trim(undo[n], "0123456789") == "" {
		undo = slices.Delete(undo, n, n+1) // its place in the chain
	}
	return Deed{Undo: [][]string{undo}}, nil
}

// ofWG is wg set LINK peer KEY allowed-ips LIST, or persistent-keepalive N.
func ofWG(ctx context.Context, args []string) (Deed, error) {
	if len(args) != 7 || args[1] != "set" || args[3] != "peer" || isBlank(args[6]) {
		return Deed{}, errForeign
	}
	link, key, what, value := args[2], args[4], args[5], args[6]
	if what != "allowed-ips" && what != "persistent-keepalive" {
		return Deed{}, errForeign
	}
	look := []string{"wg", "show", link, what}
	out, err := run(ctx, look...)
	if err != nil {
		return Deed{}, err
	}
	has := make(map[string]string)
	for _, line := range lines(out) {
		peer, old, _ := strings.Cut(line, "\t")
		has[peer] = old
	}
	old, ok := has[key]
	if !ok {
		return Deed{}, fmt.Errorf("%s has no such peer", link)
	}
	d := Deed{Look: look}
	set := func(peer, value string) {
		d.Undo = append(d.Undo, []string{"wg", "set", link, "peer", peer, what, value})
	}
	if what == "persistent-keepalive" {
		set(key, old)
		return d, nil
	}
	set(key, allowedIPs(old))
	wanted, err := prefixes(value)
	if err != nil {
		return Deed{}, err
	}
	for peer, theirs := range has { // from whom the peer takes some
		list, err := prefixes(allowedIPs(theirs))
		if err != nil {
			return Deed{}, err
		}
		if peer != key && slices.ContainsFunc(list, func(p netip.Prefix) bool { return slices.Contains(wanted, p) }) {
			set(peer, allowedIPs(theirs))
		}
	}
	return d, nil
}

// allowedIPs is what wg shows as wg set takes it.
func allowedIPs(shown string) string {
	if shown == "(none)" {
		return ""
	}
	return strings.Join(strings.Fields(shown), ",")
}

func prefixes(list string) ([]netip.Prefix, error) {
	var all []netip.Prefix
	for item := range strings.SplitSeq(list, ",") {
		if item == "" {
			continue
		}
		p, err := netip.ParsePrefix(item)
		if err != nil {
			a, err := netip.ParseAddr(item)
			if err != nil {
				return nil, err
			}
			p = netip.PrefixFrom(a, a.BitLen())
		}
		all = append(all, p.Masked())
	}
	return all, nil
}

// ofUFW is ufw [route] allow ....
func ofUFW(_ context.Context, args []string) (Deed, error) {
	rule := args[1:]
	undo := []string{"ufw"}
	if len(rule) > 0 && rule[0] == "route" {
		undo, rule = append(undo, "route"), rule[1:]
	}
	undo = append(undo, "delete")
	switch {
	case len(rule) > 2 && rule[0] == "insert": // insert N allow ...
		rule = rule[2:]
	case len(rule) > 1 && rule[0] == "prepend":
		rule = rule[1:]
	}
	if len(rule) < 2 || rule[0] != "allow" {
		return Deed{}, errForeign
	}
	return Deed{Undo: [][]string{append(undo, rule...)}}, nil
}

// ofFirewalld is firewall-cmd ... --add-THING=....
func ofFirewalld(_ context.Context, args []string) (Deed, error) {
	undo, n := slices.Clone(args), 0
	for i, w := range args {
		switch {
		case strings.HasPrefix(w, "--add-"):
			undo[i], n = "--remove-"+strings.TrimPrefix(w, "--add-"), n+1
		case i == 0 || w == "--permanent" || strings.HasPrefix(w, "--zone=") || strings.HasPrefix(w, "--policy="):
		default:
			return Deed{}, errForeign
		}
	}
	if n != 1 {
		return Deed{}, errForeign
	}
	return Deed{Undo: [][]string{undo}}, nil
}

// ofFail2ban is fail2ban-client set JAIL unbanip ADDRESS.
func ofFail2ban(_ context.Context, args []string) (Deed, error) {
	if len(args) != 5 || args[1] != "set" || args[3] != "unbanip" {
		return Deed{}, errForeign
	}
	return Deed{Undo: [][]string{{args[0], args[1], args[2], "banip", args[4]}}}, nil
}
