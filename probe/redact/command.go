package redact

import (
	"net/netip"
	"regexp"
	"strings"
)

// Command hides secrets in a command for a shell, such as a hook: of its words only those stay
// that are known to be harmless. These are the programs that set up networks, and their words;
// options without a value, single letters; addresses, ports and other short numbers; names of
// interfaces in names; paths below the folders of the system; and what a shell joins them
// with. All others are replaced, and are known from then on.
func (s *Secrets) Command(text string, names ...string) string {
	text = s.known(text)
	var b strings.Builder
	for len(text) > 0 {
		i := strings.IndexFunc(text, func(r rune) bool { return !strings.ContainsRune(between, r) })
		if i < 0 {
			i = len(text)
		}
		b.WriteString(text[:i])
		text = text[i:]
		if strings.HasPrefix(text, "(hidden #") { // already
			end := strings.IndexByte(text, ')') + 1
			b.WriteString(text[:end])
			text = text[end:]
			continue
		}
		i = strings.IndexAny(text, between)
		if i < 0 {
			i = len(text)
		}
		b.WriteString(s.commandWord(text[:i], names))
		text = text[i:]
	}
	return b.String()
}

// between stands between the words of a command.
const between = " \t\r\n;&|<>(){}[]\"'`$=,!"

func (s *Secrets) commandWord(word string, names []string) string {
	if word == "" || harmlessWord(word, names) {
		return word
	}
	s.Word(word)
	s.Heard(word)                                      // its parts may be known elsewhere
	if strings.HasPrefix(word, "-") && len(word) > 2 { // as of mysql -pPASSWORD
		s.Word(word[2:])
	}
	return s.Hidden(secretBytes(word))
}

var (
	shortNumber = regexp.MustCompile(`^(?:0x[0-9a-fA-F]{1,8}|[0-9]{1,5}(?:[:-][0-9]{1,5})?(?:/[0-9]{1,5})?|[0-9]{1,3}[smhd%])$`)
	option      = regexp.MustCompile(`^-(?:-?[A-Za-z])$`)
	systemPath  = regexp.MustCompile(`^/(?:etc|usr|bin|sbin|proc|sys|run|dev|lib|tmp|var)(?:/[A-Za-z0-9._%@+-]{0,32})*$`)
	sysctlName  = regexp.MustCompile(`^(?:net|kernel|vm)(?:[./][a-zA-Z0-9_%-]{1,32}){1,6}$`)
)

func harmlessWord(word string, names []string) bool {
	bare := strings.TrimPrefix(strings.TrimPrefix(word, "-"), "-")
	switch {
	case words[strings.ToLower(bare)], option.MatchString(word), shortNumber.MatchString(word),
		sysctlName.MatchString(word), word == "%i", strings.Trim(word, `-+*?#\/.:%@~^`) == "":
		return true
	case systemPath.MatchString(word):
		return !mixedPath(word)
	}
	for _, n := range names {
		if n != "" && (word == n || strings.TrimRight(word, "+") == n) {
			return true
		}
	}
	if _, err := netip.ParsePrefix(word); err == nil {
		return true
	}
	if _, err := netip.ParseAddr(word); err == nil {
		return true
	}
	_, err := netip.ParseAddrPort(word)
	return err == nil
}

// mixedPath reports whether a path has an element that may be a secret.
func mixedPath(path string) bool {
	for e := range strings.SplitSeq(path, "/") {
		if upper, lower, digits := count(e); len(e) >= 12 && upper >= 2 && lower >= 2 && digits >= 2 {
			return true
		}
	}
	return false
}

// words are those of programs that set up networks. No secret is one of them.
var words = func() map[string]bool {
	all := make(map[string]bool)
	for w := range strings.FieldsSeq(`
		sh bash env sudo echo true false test if then else elif fi for do done while in exit set export sleep cat tee logger touch rm
		iptables ip6tables iptables-nft ip6tables-nft iptables-legacy ip6tables-legacy iptables-restore nft ip wg wg-quick wgnode sysctl tc
		ethtool resolvectl resolvconf systemctl systemd-resolve ifconfig route conntrack ipset firewall-cmd ufw modprobe ping curl wget
		systemd-notify nmcli networkctl
		table chain rule add insert delete del replace append check flush list policy accept drop reject return jump goto queue log counter
		input output forward prerouting postrouting filter nat mangle raw security masquerade snat dnat redirect tproxy notrack mark
		connmark ct state ctstate new established related untracked invalid tcp udp icmp icmpv6 ipv6-icmp ip6 inet arp bridge netdev
		type hook priority srcnat dstnat saddr daddr sport dport dports sports multiport iif oif iifname oifname meta fwmark mask
		set-mark set-xmark restore-mark save-mark tcpmss set-mss clamp-mss-to-pmtu tcp-flags syn rst fin ack psh urg all none
		to-source to-destination to-ports random persistent comment match protocol source destination in-interface out-interface
		wait line-numbers numeric src dst src-type dst-type addrtype local unicast broadcast multicast limit burst conntrack
		addr address link dev via default metric scope proto static kernel boot host global nexthop lookup pref from to iif not
		suppress_prefixlength suppress_ifgroup ipproto uidrange up down mtu txqueuelen qlen peer peers show dump endpoint endpoints
		allowed-ips allowed-ip persistent-keepalive listen-port off on auto private-key preshared-key public-key latest-handshakes
		onlink unreachable blackhole prohibit throw neigh neighbour proxy tunnel vrf master nomaster name alias promisc
		qdisc class root handle parent fq fq_codel htb tbf clsact ingress egress rate ceil
		dns domain revert default-route llmnr mdns dnssec flush-caches restart start stop reload try-restart daemon-reload enable now
		status quiet write system is-active is-up load family ipv4 ipv6 no yes 
		allow deny limit any route interface zone permanent add-interface remove-interface trusted add-masquerade add-port remove-port`) {
		all[w] = true
	}
	return all
}()
