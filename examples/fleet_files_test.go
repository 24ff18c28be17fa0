//go:build linux

package examples

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/wgnode/wgnode/node/config"
)

// tool runs a program over files of fleet, and wants it to be content. It skips without it.
func tool(t *testing.T, program string, args ...string) string {
	t.Helper()
	path, err := exec.LookPath(program)
	if err != nil {
		t.Skip(program + " is not installed")
	}
	cmd := exec.CommandContext(t.Context(), path, args...)
	cmd.Dir = "fleet"
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Errorf("%s: %v\n%s", cmd, err, out)
	}
	return string(out)
}

var (
	metricRow  = regexp.MustCompile("(?m)^\\| `([a-z_]+)` \\| [a-z]+ \\| (.*?) \\|")
	metricName = regexp.MustCompile(`\b((?:wgnode|wireguard)_[a-z0-9_]+)\b(?:\{([^}]*)\})?`)
	labelName  = regexp.MustCompile(`([a-z_]+) *(?:=~|!~|!=|=)`)
	grouped    = regexp.MustCompile(`\b(?:by|on) \(([^)]*)\)`)
	legend     = regexp.MustCompile(`\{\{ *(?:\$labels\.)?([a-z_]+) *\}\}`)
)

// ofTargets are labels that Prometheus and its configuration add to those of metrics.
var ofTargets = []string{"job", "instance", "site"}

// metricLabels are the labels of every metric there is, as docs/metrics.md has them of the code.
func metricLabels(t *testing.T) map[string][]string {
	t.Helper()
	all := make(map[string][]string)
	for _, m := range metricRow.FindAllStringSubmatch(read(t, "../docs/metrics.md"), -1) {
		all[m[1]] = strings.Split(strings.ReplaceAll(m[2], "`", ""), ", ")
	}
	if len(all) < 15 {
		t.Fatalf("only %d metrics were found", len(all))
	}
	return all
}

// checkExpr wants the metrics of an expression to exist, with the labels that it asks for, and
// returns all labels that its metrics have.
func checkExpr(t *testing.T, where, expr string, known map[string][]string) (labels []string) {
	t.Helper()
	labels = slices.Clone(ofTargets)
	found := 0
	for _, m := range metricName.FindAllStringSubmatch(expr, -1) {
		has, ok := known[m[1]]
		if !ok {
			t.Errorf("%s: there is no metric %s", where, m[1])
		}
		found++
		labels = append(labels, has...)
		for _, l := range labelName.FindAllStringSubmatch(m[2], -1) {
			if !slices.Contains(has, l[1]) && !slices.Contains(ofTargets, l[1]) {
				t.Errorf("%s: %s has no label %s", where, m[1], l[1])
			}
		}
	}
	if found == 0 {
		return nil // of recorded series, or of up
	}
	for _, g := range grouped.FindAllStringSubmatch(expr, -1) {
		for l := range strings.SplitSeq(g[1], ",") {
			if l = strings.TrimSpace(l); !slices.Contains(labels, l) {
				t.Errorf("%s: none of its metrics has a label %s to group by", where, l)
			}
		}
	}
	return labels
}

type ruleFile struct {
	Groups []struct {
		Rules []struct {
			Record, Alert, Expr string
			Annotations         map[string]string
		}
	}
}

// What rules ask for there is, and so are the labels that their texts show.
func TestRulesAskForWhatThereIs(t *testing.T) {
	known := metricLabels(t)
	for _, file := range []string{"metrics/alerts.yaml", "fleet/rules.yaml"} {
		var f ruleFile
		if err := yaml.Unmarshal([]byte(read(t, file)), &f); err != nil {
			t.Fatal(err)
		}
		for _, g := range f.Groups {
			for _, r := range g.Rules {
				labels := checkExpr(t, file+" "+r.Record+r.Alert, r.Expr, known)
				for _, text := range r.Annotations {
					for _, l := range legend.FindAllStringSubmatch(text, -1) {
						if labels != nil && l[1] != "value" && !slices.Contains(labels, l[1]) {
							t.Errorf("%s %s shows %s, which its metrics do not have", file, r.Alert, l[1])
						}
					}
				}
			}
		}
	}
}

type dashboard struct {
	Templating struct {
		List []struct{ Name, Definition string }
	}
	Panels []struct {
		ID      int
		Title   string
		GridPos struct{ X, Y, W, H int }
		Targets []struct{ Expr, LegendFormat string }
	}
}

// Each panel of the dashboard asks for metrics that there are, shows labels that these have, has
// a place of its own, and is an expression that Prometheus takes.
func TestDashboard(t *testing.T) {
	var d dashboard
	if err := json.Unmarshal([]byte(read(t, "fleet/dashboard.json")), &d); err != nil {
		t.Fatal(err)
	}
	known := metricLabels(t)
	variables := []string{"__rate_interval", "__all"}
	for _, v := range d.Templating.List {
		variables = append(variables, v.Name)
		checkExpr(t, "variable "+v.Name, v.Definition, known)
	}
	used, rules := make(map[string]bool), "groups:\n- name: panels\n  rules:\n"
	taken := make(map[[2]int]string)
	for _, p := range d.Panels {
		for x := p.GridPos.X; x < p.GridPos.X+p.GridPos.W; x++ {
			for y := p.GridPos.Y; y < p.GridPos.Y+p.GridPos.H; y++ {
				if other := taken[[2]int{x, y}]; other != "" || x >= 24 {
					t.Fatalf("%s is at the place of %s, or beyond the edge", p.Title, other)
				}
				taken[[2]int{x, y}] = p.Title
			}
		}
		for n, target := range p.Targets {
			labels := checkExpr(t, p.Title, target.Expr, known)
			for _, l := range legend.FindAllStringSubmatch(target.LegendFormat, -1) {
				if !slices.Contains(labels, l[1]) {
					t.Errorf("%s shows %s, which its metrics do not have", p.Title, l[1])
				}
			}
			for _, m := range metricName.FindAllStringSubmatch(target.Expr, -1) {
				used[m[1]] = true
			}
			for _, v := range regexp.MustCompile(`\$([a-z_]+)`).FindAllStringSubmatch(target.Expr, -1) {
				if !slices.Contains(variables, v[1]) {
					t.Errorf("%s: there is no variable %s", p.Title, v[1])
				}
			}
			expr, err := json.Marshal(strings.ReplaceAll(target.Expr, "$__rate_interval", "5m"))
			if err != nil {
				t.Fatal(err)
			}
			rules += fmt.Sprintf("  - record: panel:%d_%d\n    expr: %s\n", p.ID, n, expr)
		}
	}
	// What only wgnode has is what the dashboard is for.
	for name := range known {
		if strings.HasPrefix(name, "wgnode_") && strings.HasSuffix(name, "_total") && !used[name] &&
			name != "wgnode_kernel_drop_reports_lost_total" {
			t.Errorf("no panel shows %s", name)
		}
	}
	file := filepath.Join(t.TempDir(), "panels.yaml")
	if err := os.WriteFile(file, []byte(rules), 0o600); err != nil {
		t.Fatal(err)
	}
	tool(t, "promtool", "check", "rules", file)
}

// The programs that the files are for take them, and the rules fire when they should.
func TestFleetFiles(t *testing.T) {
	for what, c := range map[string][]string{
		"rules":        {"promtool", "check", "rules", "rules.yaml", "../metrics/alerts.yaml"},
		"rules tried":  {"promtool", "test", "rules", "rules_test.yaml"},
		"prometheus":   {"promtool", "check", "config", "--syntax-only", "prometheus.yml"},
		"alertmanager": {"amtool", "check-config", "alertmanager.yml"},
	} {
		t.Run(what, func(t *testing.T) { tool(t, c[0], c[1:]...) })
	}
	err := filepath.WalkDir("fleet", func(path string, _ fs.DirEntry, err error) error {
		if ext := filepath.Ext(path); err != nil || ext != ".yml" && ext != ".yaml" {
			return err
		}
		var any any
		if err := yaml.Unmarshal([]byte(read(t, path)), &any); err != nil || any == nil {
			t.Errorf("%s: %v", path, err)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// Each component that a pipeline of the Collector names is configured, and the other way around.
func TestCollectorPipelines(t *testing.T) {
	type parts map[string]any
	var all struct {
		Receivers, Processors, Exporters parts
		Service                          struct {
			Pipelines map[string]struct{ Receivers, Processors, Exporters []string }
		}
	}
	for _, file := range []string{"fleet/collector.yaml", "fleet/collector-clickhouse.yaml"} {
		all.Exporters, all.Service.Pipelines = nil, nil
		if err := yaml.Unmarshal([]byte(read(t, file)), &all); err != nil {
			t.Fatal(err)
		}
		var named []string
		for kind, p := range all.Service.Pipelines {
			for _, name := range p.Exporters {
				if _, ok := all.Exporters[name]; !ok {
					t.Errorf("%s: %s has an exporter %s, which is not configured", file, kind, name)
				}
				named = append(named, name)
			}
			for _, name := range p.Processors {
				if _, ok := all.Processors[name]; !ok {
					t.Errorf("%s: %s has a processor %s, which is not configured", file, kind, name)
				}
			}
			if len(p.Processors) > 0 && p.Processors[0] != "memory_limiter" {
				t.Errorf("%s: %s begins with %s: its memory has no bound", file, kind, p.Processors[0])
			}
		}
		for name := range all.Exporters {
			if !slices.Contains(named, name) {
				t.Errorf("%s: nothing is sent to %s", file, name)
			}
		}
	}
}

// Ansible takes the role, and what it writes is a configuration that wgnode takes without a word.
func TestAnsibleRole(t *testing.T) {
	out := tool(t, "ansible-playbook", "-i", "ansible/inventory.ini", "--syntax-check", "ansible/site.yml")
	if !strings.Contains(out, "site.yml") {
		t.Errorf("it says\n%s", out)
	}
	dir := t.TempDir()
	vars := fmt.Sprintf(`{"wgnode_config_dir": %q, "wgnode_address": "10.77.0.2/24", "wgnode_metrics_password_hash": "$2y$10$x",
		"wgnode_peers": [{"name": "hub", "public_key": "hSDwCYkwp1R0i33ctD73Wg2/Og0mOBr066SpjqqbTmo=", "allowed_ips": ["10.77.0.0/24"],
		"endpoint": "192.0.2.1:51820", "persistent_keepalive": 25}]}`, dir)
	const templates = "ansible/roles/wgnode/templates/"
	path := filepath.Join(dir, "wg0.toml")
	tool(t, "ansible", "-i", "localhost,", "-c", "local", "localhost", "-m", "template", "-a",
		"src="+templates+"wgnode.toml.j2 dest="+path+" mode=0600", "-e", "@ansible/roles/wgnode/defaults/main.yml", "-e", vars)
	c, err := config.Read(path)
	if err != nil {
		t.Fatal(err)
	}
	if w := c.Warnings(); len(w) > 0 || len(c.Peers) != 1 || !c.Metrics.Listen.Beyond() || c.Metrics.WebConfig != dir+"/web.yml" {
		t.Errorf("it became %+v, with %v", c, w)
	}
}

// systemd takes the unit, and makes the user and the folders.
func TestFleetUnits(t *testing.T) {
	dir := t.TempDir()
	unit := strings.ReplaceAll(read(t, "fleet/systemd/wgnode-stack@.service"), "/usr/bin/wgnode", "/bin/true")
	if err := os.WriteFile(filepath.Join(dir, "wgnode-stack@.service"), []byte(unit), 0o600); err != nil {
		t.Fatal(err)
	}
	out := tool(t, "systemd-analyze", "verify", "--man=no", filepath.Join(dir, "wgnode-stack@.service"))
	if strings.Contains(out, "wgnode-stack") {
		t.Errorf("systemd complains: %s", out)
	}
	absolute, err := filepath.Abs("fleet/systemd")
	if err != nil {
		t.Fatal(err)
	}
	if out := tool(t, "systemd-sysusers", "--dry-run", absolute+"/wgnode-sysusers.conf"); !strings.Contains(out, "wgnode") {
		t.Errorf("systemd-sysusers says %q", out)
	}
}
