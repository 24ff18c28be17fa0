package bundle

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/wgnode/wgnode/node/control"
	"github.com/wgnode/wgnode/node/rundir"
	"github.com/wgnode/wgnode/node/running"
	"github.com/wgnode/wgnode/node/safefile"
	"github.com/wgnode/wgnode/probe/diagnose"
)

// Subject is the tunnel that a bundle is about.
type Subject struct {
	Name string
	// Client is the node's; Refused is why there is none.
	Client  *control.Client
	Refused error
	// Known is what the host knows of the node, nil for nothing.
	Known *running.Known
	// Config is the path of the configuration, "" if none is known.
	Config  string
	Version string // of this program
	// For is how long what passes is recorded, too, with what the kernel does.
	For time.Duration
	// Hide takes secrets out of what the recording quotes.
	Hide func(string) string
	// Doctor judges the peers; Explain, if it is not nil, explains a flow.
	Doctor  func(ctx context.Context) (*diagnose.DoctorReport, error)
	Explain func(ctx context.Context) (*diagnose.Report, error)
}

// explainTime is how long an explanation may take.
const explainTime = time.Minute

// The sizes of parts, in bytes.
const (
	textLimit      = 4 << 20
	jsonLimit      = 64 << 20 // what is cut off cannot be read
	logLimit       = 512 << 10
	recordingLimit = 64 << 20
)

// Sources are the parts of a bundle about a tunnel and its host.
func Sources(s *Subject) []Source {
	all := []Source{
		{Name: DoctorName, What: "a verdict for each peer, and findings", Limit: jsonLimit, Get: func(ctx context.Context) ([]byte, error) {
			return asJSON(s.Doctor(ctx))
		}},
	}
	if s.Explain != nil {
		all = append(all, Source{Name: ExplainName, What: "what became of a probe", Limit: jsonLimit, Time: explainTime,
			Get: func(ctx context.Context) ([]byte, error) { return asJSON(s.Explain(ctx)) }})
	}
	config := Source{Name: "config.conf", What: "the configuration, with hashes of its secrets", Kind: Config, Limit: textLimit,
		Get: func(context.Context) ([]byte, error) { return readConfig(s.Config) }}
	if strings.HasSuffix(s.Config, ".toml") {
		config.Name, config.Kind = "config.toml", ConfigTOM
	}
	links := [][]string{{"ip", "-details", "-statistics", "link", "show"}, {"ip", "address", "show"}}
	all = append(all,
		Source{Name: "status.json", What: "the state of the node", Limit: jsonLimit, Get: s.status},
		Source{Name: "device.json", What: "the device and its peers", Limit: jsonLimit, Get: s.device},
		Source{Name: "history.json", What: "the states of the peers in the last week", Limit: jsonLimit, Get: s.history},
		Source{Name: "node.json", What: "what the host knows of the node", Limit: jsonLimit, Get: s.known},
		config,
		Source{Name: "links.txt", What: "network interfaces and addresses", Kind: Foreign, Limit: textLimit, Get: printed(links...)},
		Source{Name: "routes.txt", What: "routes of all tables", Kind: Foreign, Limit: textLimit, Get: printed(
			[]string{"ip", "-4", "route", "show", "table", "all"}, []string{"ip", "-6", "route", "show", "table", "all"})},
		Source{Name: "rules.txt", What: "routing rules", Kind: Foreign, Get: printed(
			[]string{"ip", "-4", "rule", "show"}, []string{"ip", "-6", "rule", "show"})},
		Source{Name: "neighbors.txt", What: "neighbors", Kind: Foreign, Get: printed([]string{"ip", "neighbor", "show"})},
		Source{Name: "nftables.txt", What: "the rule set of nftables", Kind: Rules, Limit: textLimit, Get: printed(
			[]string{"nft", "--handle", "list", "ruleset"})},
		Source{Name: "iptables.txt", What: "the rules of legacy iptables", Kind: Rules, Limit: textLimit, Get: legacy},
		Source{Name: "sysctl.txt", What: "kernel parameters of the network", Kind: Foreign, Get: s.parameters},
		Source{Name: "resolver.txt", What: "name servers", Kind: Foreign, Get: resolver},
		Source{Name: "versions.txt", What: "versions of programs and the kernel", Kind: Foreign, Get: s.versions},
		Source{Name: "log.txt", What: "the end of the log", Kind: Foreign, Limit: logLimit, Tail: true, Get: s.log},
		Source{Name: RecordingName, What: "the flight recorder: headers of packets", Kind: Recording, Limit: recordingLimit,
			Time: partTime + s.For,
			Get: func(ctx context.Context) ([]byte, error) {
				if s.Client == nil {
					return nil, s.refused()
				}
				return record(ctx, s.Client, s.For, s.Hide)
			}})
	return all
}

func (s *Subject) refused() error {
	if s.Refused == nil {
		return errors.New("no node of that name is running")
	}
	return s.Refused
}

// asJSON is v as JSON, unless getting it failed.
func asJSON[T any](v T, err error) ([]byte, error) {
	if err != nil {
		return nil, err
	}
	return json.Marshal(v)
}

func printed(lines ...[]string) func(context.Context) ([]byte, error) {
	return func(ctx context.Context) ([]byte, error) { return commands(ctx, lines...) }
}

func readConfig(path string) ([]byte, error) {
	if path == "" {
		return nil, errors.New("no configuration is known")
	}
	return safefile.Read(path, textLimit)
}

func (s *Subject) status(ctx context.Context) ([]byte, error) {
	if s.Client == nil {
		return nil, s.refused()
	}
	return asJSON(s.Client.Status(ctx))
}

// known is what is known of the node without asking it, and what it did to the host.
func (s *Subject) known(context.Context) ([]byte, error) {
	known := struct {
		State   running.State   `json:"state,omitempty"`
		PID     int             `json:"pid,omitempty"`
		Left    []string        `json:"left,omitempty"`
		RunDir  string          `json:"run_folder,omitempty"`
		Refused string          `json:"refused,omitempty"`
		Journal json.RawMessage `json:"journal,omitempty"`
	}{}
	if s.Known != nil {
		known.State, known.PID, known.Left, known.RunDir = s.Known.State, s.Known.PID, s.Known.Left, s.Known.RunDir
	}
	if s.Refused != nil {
		known.Refused = s.Refused.Error()
	}
	journal, err := safefile.Read(filepath.Join(rundir.Default(), s.Name+".json"), textLimit)
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	} else if err == nil && json.Valid(journal) {
		known.Journal = journal
	}
	text, jerr := json.Marshal(known)
	return text, errors.Join(err, jerr)
}

// legacy are the rules of iptables that nft does not list.
func legacy(ctx context.Context) ([]byte, error) {
	var lines [][]string
	for file, program := range map[string]string{"/proc/net/ip_tables_names": "iptables", "/proc/net/ip6_tables_names": "ip6tables"} {
		tables, err := safefile.Read(file, 1<<10)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
		if len(bytes.TrimSpace(tables)) > 0 {
			lines = append(lines, []string{program + "-legacy-save", "--counters"})
		}
	}
	if len(lines) == 0 {
		return []byte("# the kernel has none\n"), nil
	}
	slices.SortFunc(lines, slices.Compare)
	return commands(ctx, lines...)
}

// parameterFiles are those below /proc/sys that decide about packets; % stands for the interface.
var parameterFiles = []string{
	"net/ipv4/ip_forward", "net/ipv4/conf/*/forwarding", "net/ipv4/conf/*/rp_filter", "net/ipv4/conf/*/src_valid_mark",
	"net/ipv4/conf/*/arp_*", "net/ipv4/conf/*/accept_local", "net/ipv4/conf/*/route_localnet", "net/ipv4/ip_local_port_range",
	"net/ipv4/ping_group_range", "net/ipv4/tcp_mtu_probing", "net/ipv4/ip_no_pmtu_disc", "net/ipv4/fwmark_reflect",
	"net/ipv6/conf/*/forwarding", "net/ipv6/conf/*/disable_ipv6", "net/ipv6/conf/*/accept_ra", "net/ipv6/conf/*/mtu",
	"net/core/rmem_max", "net/core/wmem_max", "net/core/rmem_default", "net/core/wmem_default", "net/core/default_qdisc",
	"net/core/bpf_jit_enable", "net/netfilter/nf_conntrack_max", "net/netfilter/nf_conntrack_count",
	"net/netfilter/nf_conntrack_udp_timeout*", "net/netfilter/nf_log_all_netns", "kernel/unprivileged_bpf_disabled",
	"kernel/unprivileged_userns_clone", "user/max_net_namespaces",
}

// mostLinks bounds how many interfaces parameters are told of, besides all, default and the tunnel.
const mostLinks = 32

// parameters are those of the kernel.
func (s *Subject) parameters(ctx context.Context) ([]byte, error) {
	var out bytes.Buffer
	var errs []error
	links := make(map[string]bool)
	for _, pattern := range parameterFiles {
		files, err := filepath.Glob(filepath.Join("/proc/sys", pattern))
		if err != nil {
			return nil, err
		}
		for _, file := range files {
			if ctx.Err() != nil {
				return out.Bytes(), ctx.Err()
			}
			link := filepath.Base(filepath.Dir(file))
			if strings.Contains(file, "/conf/") && !slices.Contains([]string{"all", "default", s.Name}, link) {
				if !links[link] && len(links) == mostLinks {
					continue
				}
				links[link] = true
			}
			value, err := safefile.Read(file, 1<<10)
			if err != nil {
				errs = append(errs, err)
				continue
			}
			fmt.Fprintf(&out, "%s = %s\n", strings.TrimPrefix(file, "/proc/sys/"), strings.Join(strings.Fields(string(value)), " "))
		}
	}
	if len(errs) > 3 {
		errs = append(errs[:3], fmt.Errorf("and %d more", len(errs)-3))
	}
	return out.Bytes(), errors.Join(errs...)
}

func resolver(ctx context.Context) ([]byte, error) {
	text, err := safefile.Read("/etc/resolv.conf", 64<<10)
	out := append([]byte("# /etc/resolv.conf\n"), text...)
	if _, serr := os.Stat("/run/systemd/resolve"); serr == nil {
		more, merr := commands(ctx, []string{"resolvectl", "--no-pager", "status"})
		out, err = append(append(out, '\n'), more...), errors.Join(err, merr)
	}
	return out, err
}

func (s *Subject) versions(ctx context.Context) ([]byte, error) {
	kernel, err := kernel()
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	fmt.Fprintf(&out, "%s\n\n%s\n", s.Version, kernel)
	for _, file := range []string{"/sys/module/wireguard/version", "/etc/os-release"} {
		if more, err := safefile.Read(file, 16<<10); err == nil {
			fmt.Fprintf(&out, "\n# %s\n%s", file, more)
		}
	}
	for _, line := range [][]string{{"ip", "-Version"}, {"nft", "--version"}, {"wg", "--version"}, {"systemctl", "--version"}} {
		if more, err := command(ctx, 4<<10, line[0], line[1:]...); err == nil {
			fmt.Fprintf(&out, "\n# %s\n%s", strings.Join(line, " "), more)
		}
	}
	return out.Bytes(), nil
}

// log is what the service manager has of the node's, and the end of the file that the node writes.
func (s *Subject) log(ctx context.Context) ([]byte, error) {
	var out []byte
	var errs []error
	if file := s.logFile(); file != "" {
		text, err := tail(file, logLimit/2)
		errs = append(errs, err)
		out = append(append(out, fmt.Sprintf("# %s\n%s\n", file, text)...), '\n')
	}
	if _, err := os.Stat("/run/systemd/system"); err != nil {
		if len(out) == 0 {
			return nil, errors.New("there is no systemd here, and the node was started without --log")
		}
		return out, errors.Join(errs...)
	}
	args := []string{"--no-pager", "--quiet", "--no-hostname", "--output=short-iso", "--lines=2000"}
	for _, unit := range []string{"wgnode@", "wg-quick@"} {
		args = append(args, "--unit="+unit+s.Name+".service")
	}
	text, err := command(ctx, textLimit, "journalctl", args...)
	if len(text) == 0 && err == nil {
		err = fmt.Errorf("the journal has nothing of wgnode@%s and wg-quick@%s that this user may read", s.Name, s.Name)
	}
	return append(out, text...), errors.Join(append(errs, err)...)
}
