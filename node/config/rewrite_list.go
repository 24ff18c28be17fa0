package config

import (
	"net/netip"
	"slices"
	"strings"
)

// changeList changes the lines of a .conf that hold a list of prefixes: each keeps
// what is still in the list, and its comment. It reports false for lists that do not
// simply name what there is.
func (r *rewriter) changeList(p *part, key string, is []piece) bool {
	var wanted []string
	for _, x := range is {
		wanted = append(wanted, listed(&x)...)
	}
	masked, missing := key == "allowedips", slices.Clone(wanted)
	if slices.ContainsFunc(wanted, func(s string) bool { return strings.ContainsAny(s[:1], "+-") }) {
		return false
	}
	var body []piece
	last := -1
	for _, x := range p.body {
		if x.kind != pieceAssign || x.key != key {
			body = append(body, x)
			continue
		}
		items := listed(&x)
		kept := slices.DeleteFunc(slices.Clone(items), func(s string) bool {
			s = normal(s, masked)
			missing = slices.DeleteFunc(missing, func(m string) bool { return m == s })
			return !slices.Contains(wanted, s)
		})
		if len(kept) == 0 {
			continue
		}
		if len(kept) < len(items) {
			x = relisted(x, kept)
		}
		last = len(body)
		body = append(body, x)
	}
	switch {
	case len(missing) == 0:
	case last >= 0 && len(body[last].remarks) == 0:
		body[last] = relisted(body[last], append(listed(&body[last]), missing...))
	case last >= 0:
		name, _, _ := strings.Cut(body[last].text, "=")
		body = slices.Insert(body, last+1, piece{kind: pieceAssign, key: key, text: name + "= " + strings.Join(missing, ", ") + "\n"})
	default:
		return false // none is left, or there was none
	}
	p.body = body
	r.endLine(p)
	return true
}

// listed returns the items of a line.
func listed(x *piece) []string {
	stripped, _, _ := strings.Cut(x.text, "#")
	_, value, _ := strings.Cut(stripped, "=")
	var items []string
	for item := range strings.SplitSeq(squeeze(value), ",") {
		if item != "" {
			items = append(items, item)
		}
	}
	return items
}

// relisted is a line with other items.
func relisted(x piece, items []string) piece {
	name, _, _ := strings.Cut(x.text, "=")
	x.text = strings.TrimRight(name, " \t") + " = " + strings.Join(items, ", ")
	if len(x.remarks) > 0 {
		x.text += " " + x.remarks[0]
	}
	x.text += "\n"
	return x
}

// normal is an item as it is written anew.
func normal(item string, masked bool) string {
	p, err := netip.ParsePrefix(item)
	if err != nil {
		a, aerr := netip.ParseAddr(item)
		if aerr != nil {
			return item
		}
		p = netip.PrefixFrom(a, a.BitLen())
	}
	if masked {
		p = p.Masked()
	}
	return p.String()
}
