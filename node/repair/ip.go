package repair

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// errThere: undoing it would take away what somebody else has made.
var errThere = errors.New("that is there already")

// ofIP is a command of ip(8).
func ofIP(ctx context.Context, args []string) (Deed, error) {
	if isBlank(strings.Join(args, " ")) {
		return Deed{}, errBlank
	}
	ip, rest := args[:1], args[1:]
	for len(rest) > 0 && strings.HasPrefix(rest[0], "-") {
		ip, rest = append(slices.Clip(ip), rest[0]), rest[1:]
	}
	if len(rest) < 3 {
		return Deed{}, errForeign
	}
	switch rest[0] {
	case "route":
		return ofRoute(ctx, ip, rest[1], rest[2:])
	case "rule":
		return ofRule(ctx, ip, rest[1], rest[2:])
	case "address":
		return ofAddress(ctx, ip, rest[1], rest[2:])
	case "link":
		return ofLink(ctx, ip, rest[1:])
	case "xfrm":
		return ofXfrm(ctx, ip, rest[1:])
	}
	return Deed{}, errForeign
}

// with is ip with further words.
func with(ip []string, words ...string) []string { return append(slices.Clip(ip), words...) }

// routeTypes are the words that a route may begin with.
var routeTypes = []string{"unicast", "blackhole", "unreachable", "prohibit", "throw", "local"}

// ofRoute is ip route VERB ROUTE.
func ofRoute(ctx context.Context, ip []string, verb string, route []string) (Deed, error) {
	dst := route
	if slices.Contains(routeTypes, route[0]) {
		dst = route[1:]
	}
	if len(dst) == 0 {
		return Deed{}, errForeign
	}
	if strings.Contains(dst[0], ":") && len(ip) == 1 {
		ip = with(ip, "-6")
	}
	show := with(ip, "route", "show", "exact", dst[0])
	table := after(dst, "table")
	if table != "" {
		show = append(show, "table", table)
	}
	out, err := run(ctx, show...)
	if err != nil && table == "" {
		return Deed{}, err // a table without any route is no table to some
	}
	there := slices.DeleteFunc(lines(out), func(line string) bool { return verb == "del" && !hasAll(line, dst[1:]) })
	d := Deed{Look: show}
	switch {
	case verb == "add" && slices.ContainsFunc(there, func(line string) bool { return hasAll(line, dst[1:]) }):
		return Deed{}, errThere
	case verb == "add" || verb == "replace" && len(there) == 0:
		d.Undo = [][]string{append(with(ip, "route", "del"), route...)}
	case len(there) != 1:
		return Deed{}, fmt.Errorf("%d routes are meant by it", len(there))
	case verb == "replace":
		d.Undo = [][]string{append(with(ip, "route", "replace"), routeWords(there[0], table)...)}
	case verb == "del":
		d.Undo = [][]string{append(with(ip, "route", "add"), routeWords(there[0], table)...)}
	default:
		return Deed{}, errForeign
	}
	return d, nil
}

// lines are those of an output that are not empty.
func lines(out string) []string {
	return strings.FieldsFunc(out, func(r rune) bool { return r == '\n' })
}

// hasAll reports whether a route has what a command says of it; not its table, which the
// line does not say.
func hasAll(line string, pairs []string) bool {
	words := strings.Fields(line)
	for i := 0; i+1 < len(pairs); i += 2 {
		if pairs[i] != "table" && after(words, pairs[i]) != pairs[i+1] {
			return false
		}
	}
	return true
}

// routeWords are those of a route that ip shows, as ip takes them.
func routeWords(line, table string) []string {
	words := slices.DeleteFunc(strings.Fields(line), func(w string) bool {
		return slices.Contains([]string{"linkdown", "dead", "offload", "trap", "rt_offload", "rt_trap"}, w)
	})
	if table != "" {
		words = append(words, "table", table)
	}
	return words
}

// ofRule is ip rule VERB pref N ....
func ofRule(ctx context.Context, ip []string, verb string, selectors []string) (Deed, error) {
	pref := after(selectors, "pref")
	if pref == "" {
		return Deed{}, errForeign
	}
	show := with(ip, "rule", "show", "pref", pref)
	d := Deed{Look: show}
	switch verb {
	case "add":
		d.Undo = [][]string{append(with(ip, "rule", "del"), selectors...)}
	case "del":
		out, err := run(ctx, show...)
		if err != nil {
			return Deed{}, err
		}
		there := lines(out)
		if len(there) != 1 || strings.Contains(out, "[") || strings.Contains(out, "l3mdev") {
			return Deed{}, fmt.Errorf("%d rules have the priority %s, and it must be one that ip can add again", len(there), pref)
		}
		_, words, _ := strings.Cut(there[0], ":")
		d.Undo = [][]string{append(with(ip, "rule", "add", "pref", pref), strings.Fields(words)...)}
	default:
		return Deed{}, errForeign
	}
	return d, nil
}

// ofAddress is ip address add PREFIX dev LINK.
func ofAddress(ctx context.Context, ip []string, verb string, words []string) (Deed, error) {
	link := after(words, "dev")
	if verb != "add" || link == "" {
		return Deed{}, errForeign
	}
	out, err := run(ctx, with(ip, "-o", "address", "show", "dev", link)...)
	if err != nil {
		return Deed{}, err
	}
	if slices.Contains(strings.Fields(out), words[0]) {
		return Deed{}, errThere
	}
	return Deed{Undo: [][]string{append(with(ip, "address", "del"), words...)}}, nil
}

// ofLink is ip link set [dev] LINK up, or mtu N in either order.
func ofLink(ctx context.Context, ip, words []string) (Deed, error) {
	if words[0] != "set" {
		return Deed{}, errForeign
	}
	words = slices.DeleteFunc(slices.Clone(words[1:]), func(w string) bool { return w == "dev" })
	switch {
	case len(words) == 2 && words[1] == "up":
		out, err := run(ctx, with(ip, "-o", "link", "show", "dev", words[0])...)
		if err != nil {
			return Deed{}, err
		}
		if _, flags, _ := strings.Cut(out, "<"); slices.Contains(strings.Split(flags[:max(0, strings.Index(flags, ">"))], ","), "UP") {
			return Deed{}, errThere
		}
		return Deed{Undo: [][]string{with(ip, "link", "set", words[0], "down")}}, nil
	case len(words) == 3 && words[0] == "mtu":
		words = []string{words[2], words[0], words[1]}
	case len(words) != 3 || words[1] != "mtu":
		return Deed{}, errForeign
	}
	look := []string{"cat", "/sys/class/net/" + words[0] + "/mtu"}
	old, err := run(ctx, look...)
	if err != nil {
		return Deed{}, err
	}
	return Deed{Look: look, Undo: [][]string{with(ip, "link", "set", words[0], "mtu", strings.TrimSpace(old))}}, nil
}

// ofXfrm is ip xfrm policy setdefault DIRECTION accept.
func ofXfrm(ctx context.Context, ip, words []string) (Deed, error) {
	if len(words) != 4 || words[0] != "policy" || words[1] != "setdefault" {
		return Deed{}, errForeign
	}
	look := with(ip, "xfrm", "policy", "getdefault")
	out, err := run(ctx, look...)
	if err != nil {
		return Deed{}, err
	}
	for _, line := range lines(out) {
		if direction, was, ok := strings.Cut(strings.TrimSpace(line), ":"); ok && direction == words[2] {
			return Deed{Look: look, Undo: [][]string{with(ip, "xfrm", "policy", "setdefault", direction, strings.TrimSpace(was))}}, nil
		}
	}
	return Deed{}, errForeign
}
