package node

import (
	"errors"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/wgnode/wgnode/node/config"
	"github.com/wgnode/wgnode/node/internal/endpoint"
	"github.com/wgnode/wgnode/node/internal/services"
	"github.com/wgnode/wgnode/node/plan"
)

// keySamples are values for each key of a .toml, by "TABLE KEY", from the reference.
func keySamples(t *testing.T) map[string]string {
	t.Helper()
	text, err := os.ReadFile("../examples/wgnode.toml")
	if err != nil {
		t.Fatal(err)
	}
	given := regexp.MustCompile(`^#?([a-z_]+) = (.*)$`)
	samples := map[string]string{ // where the reference has the default, or a file that is not there
		"interface table": `"off"`, "interface save_config": "true", "interface kill_switch": "true", "interface kill_switch_lan": "true",
		"interface post_down": `["true"]`, "interface peers_file": `"peers.toml"`,
	}
	table := ""
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSpace(line)
		if strings.HasPrefix(line, "[") {
			table = strings.Trim(line, "[]")
		}
		if m := given.FindStringSubmatch(line); m != nil && samples[table+" "+m[1]] == "" {
			samples[table+" "+m[1]] = m[2]
		}
	}
	return samples
}

// keyConfig is a configuration that gives a key, with what that needs, or not the key.
func keyConfig(t *testing.T, k config.Key, samples map[string]string, given bool) *config.Config {
	t.Helper()
	text := "[interface]\naddress = [\"10.0.0.1/24\"]\n"
	value := k.Name + " = " + samples[k.Table+" "+k.Name] + "\n"
	switch {
	case k.Table != "interface":
		t.Fatalf("%s.%s: a table that the test does not know", k.Table, k.Name)
	case k.Name == "address":
		text = "[interface]\n"
	case k.Name == "search", k.Name == "resolver":
		text += "dns = [\"10.0.0.53\"]\n"
	case k.Name == "kill_switch_lan":
		text += "kill_switch = true\n"
	}
	if given {
		text += value
	}
	text += "[[peer]]\npublic_key = \"hSDwCYkwp1R0i33ctD73Wg2/Og0mOBr066SpjqqbTmo=\"\nallowed_ips = [\"192.168.0.0/15\"]\n"
	cfg, err := config.ParseTOML(strings.NewReader(text), "wg0.toml")
	if err != nil {
		t.Fatal(err)
	}
	if cfg.Name == "" {
		cfg.Name = "wg0"
	}
	return cfg
}

// A node without an interface uses a key, says that it is skipped, or refuses it, as the
// key's row in node/config has it: nothing is left out in silence.
func TestKeysWithoutInterface(t *testing.T) {
	samples := keySamples(t)
	for _, k := range config.Keys() {
		if k.Table != "interface" {
			continue // peers and metrics have no other way, services are checked below
		}
		cfg := keyConfig(t, k, samples, true)
		var out strings.Builder
		n := &Node{name: "wg0", opt: Options{Netstack: true, Out: &out}}
		n.cfg.Store(cfg)
		new(userspaceStack).skip(n)
		skipped := strings.Contains(out.String(), "skipped: ")
		refused := CheckStack(cfg) != nil
		if skipped != (k.Stack == config.StackSkips) || refused != (k.Stack == config.StackRefuses) {
			t.Errorf("%s is %s by its row in node/config; the stack skips %q, CheckStack refuses it: %t (userspace_rules.go)",
				k.Name, k.Stack, out.String(), refused)
		}
	}
}

// A service is refused by a node with an interface.
func TestServicesNeedStack(t *testing.T) {
	for _, k := range config.Keys() {
		if k.Stack != config.StackOnly {
			continue
		}
		text := map[string]string{
			"socks5": "[socks5]\nlisten = 1080\n", "http_proxy": "[http_proxy]\nlisten = 8118\n",
			"forward":        "[[forward]]\nprotocol = \"tcp\"\nlisten = 1\nto = \"a:1\"\n",
			"remote_forward": "[[remote_forward]]\nprotocol = \"tcp\"\nlisten = 1\nto = \"a:1\"\n",
			"route":          "[route]\nallow = [\"192.168.0.0/16\"]\n", "dns": "[dns]\nlisten = 5300\n",
		}[k.Table]
		cfg, err := config.ParseTOML(strings.NewReader("[interface]\ndns = [\"10.0.0.53\"]\n"+text), "wg0.toml")
		if err != nil {
			t.Fatal(err)
		}
		if err := services.Check(cfg, config.Services{}, false); !errors.Is(err, ErrNeedsStack) || text == "" {
			t.Errorf("%s.%s: a node with an interface takes it: %v (services.Check)", k.Table, k.Name, err)
		}
	}
}

// A changed key reaches what its row in node/config names: the device, or the plan, from
// which a reload takes what differs.
func TestKeysReload(t *testing.T) {
	samples := keySamples(t)
	for _, k := range config.Keys() {
		if k.Table != "interface" {
			continue
		}
		with, without := keyConfig(t, k, samples, true), keyConfig(t, k, samples, false)
		device := !reflect.DeepEqual(stated(with, endpoint.New(with, nil), with.Interface.FwMark),
			stated(without, endpoint.New(without, nil), without.Interface.FwMark))
		host := !slices.EqualFunc(keySteps(t, with), keySteps(t, without), func(a, b plan.Step) bool { return reflect.DeepEqual(a, b) })
		switch k.Reload {
		case config.ReloadDevice: // what is kept elsewhere is read first, and is the same key then
			if !device && !strings.HasPrefix(k.Name, "private_key_") && k.Name != "peers_file" {
				t.Errorf("%s does not reach the device: stated (configure.go) has nothing of it", k.Name)
			}
		case config.ReloadHost:
			if !host {
				t.Errorf("%s does not reach the host: plan.Build makes the same steps without it", k.Name)
			}
		case config.ReloadNext, config.ReloadRead:
			if k.Reload == config.ReloadNext && len(with.Interface.PreUp)+len(with.Interface.PostUp) == 0 || device {
				t.Errorf("%s is called %q, and is not a hook, or changes the device", k.Name, k.Reload)
			}
		default:
			t.Errorf("%s: reload %q is not one of an interface", k.Name, k.Reload)
		}
	}
}

// keySteps are those of a host with all that a plan could need.
func keySteps(t *testing.T, cfg *config.Config) []plan.Step {
	t.Helper()
	state := plan.State{DefaultMTU: 1500}
	state.Resolver.Kind = "resolvconf"
	if cfg.Interface.Resolver != "" {
		state.Resolver.Kind = "systemd-resolved" // what Gather makes of the key
	}
	steps, err := plan.Build(cfg, state)
	if err != nil {
		t.Fatal(err)
	}
	return steps
}
