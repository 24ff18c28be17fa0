package diagnose

import (
	"regexp"
	"strconv"
	"strings"
)

// confLine is a line of a configuration in wg-quick's language.
var confLine = regexp.MustCompile(`^(PublicKey|PresharedKey|Endpoint|AllowedIPs|PersistentKeepalive|MTU|ListenPort) = (.*)$`)

var tomlKeys = map[string]string{
	"PublicKey": "public_key", "PresharedKey": "preshared_key", "Endpoint": "endpoint", "AllowedIPs": "allowed_ips",
	"PersistentKeepalive": "persistent_keepalive", "MTU": "mtu", "ListenPort": "listen_port",
}

var tomlTables = strings.NewReplacer("[Peer]", "[[peer]]", "[Interface]", "[interface]")

// InLanguage returns a fix with what belongs into the file in the file's own
// language: wg-quick's, in which fixes are written, or TOML. What belongs into
// files on other hosts stays as it is; which language they have is not known.
func InLanguage(file string, fix []string) []string {
	if !strings.HasSuffix(file, ".toml") {
		return fix
	}
	said := make([]string, 0, len(fix))
	inFile := false
	for _, line := range fix {
		switch {
		case strings.HasPrefix(line, FixComment):
			if inFile = strings.Contains(line, file); inFile {
				line = tomlTables.Replace(line)
			}
		case inFile:
			line = tomlLine(line)
		}
		said = append(said, line)
	}
	return said
}

func tomlLine(line string) string {
	m := confLine.FindStringSubmatch(line)
	if m == nil {
		return tomlTables.Replace(line)
	}
	key, value := m[1], m[2]
	switch key {
	case "AllowedIPs":
		var items []string
		for item := range strings.SplitSeq(value, ",") {
			items = append(items, strconv.Quote(strings.TrimSpace(item)))
		}
		value = "[" + strings.Join(items, ", ") + "]"
	case "PersistentKeepalive", "MTU", "ListenPort":
	default:
		value = strconv.Quote(value)
	}
	return tomlKeys[key] + " = " + value
}
