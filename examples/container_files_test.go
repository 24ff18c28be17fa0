package examples

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// containerfile is what the final stage of the Containerfile says, and what the
// one before it runs.
type containerfile struct {
	from, user  string
	run         []string
	program     [2]string // where it is built, and where it is in the image
	env         []string
	entry, args []string
}

func readContainerfile(t *testing.T) *containerfile {
	t.Helper()
	c := new(containerfile)
	list := func(text string) (words []string) {
		if err := json.Unmarshal([]byte(text), &words); err != nil {
			t.Errorf("Containerfile: %s: %v", text, err)
		}
		return words
	}
	for line := range strings.Lines(read(t, "container/Containerfile")) {
		instruction, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
		switch instruction {
		case "FROM":
			*c = containerfile{from: rest, run: c.run}
		case "RUN":
			c.run = append(c.run, rest)
		case "COPY":
			if words := strings.Fields(rest); words[0] == "--from=build" {
				c.program = [2]string(words[1:])
			}
		case "USER":
			c.user = rest
		case "ENV":
			c.env = append(c.env, rest)
		case "ENTRYPOINT":
			c.entry = list(rest)
		case "CMD":
			c.args = list(rest)
		}
	}
	return c
}

// container is the tunnel as an engine begins it.
type container struct {
	args      []string   // of the image's entrypoint
	config    string     // where the configuration's file, or its folder, is mounted
	proxy     string     // ALL_PROXY of the program that uses it
	addresses []string   // of the network that it is in
	checks    [][]string // of its health
}

// manifest is a file of YAML.
type manifest struct {
	t    *testing.T
	path string
	root any
}

func readManifest(t *testing.T, path string) *manifest {
	t.Helper()
	m := &manifest{t: t, path: path}
	if err := yaml.Unmarshal([]byte(read(t, path)), &m.root); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	return m
}

// at returns what is under keys, "spec containers 0 args", nil if it is not there.
func (m *manifest) at(keys string) any {
	v := m.root
	for _, key := range strings.Fields(keys) {
		switch node := v.(type) {
		case map[string]any:
			v = node[key]
		case []any:
			i, err := strconv.Atoi(key)
			if err != nil || i >= len(node) {
				return nil
			}
			v = node[i]
		default:
			return nil
		}
	}
	return v
}

// text is at for what must be text.
func (m *manifest) text(keys string) string {
	m.t.Helper()
	s, ok := m.at(keys).(string)
	if !ok {
		m.t.Fatalf("%s: %s is %v, want text", m.path, keys, m.at(keys))
	}
	return s
}

// words is at for what must be a list of texts.
func (m *manifest) words(keys string) (words []string) {
	m.t.Helper()
	list, _ := m.at(keys).([]any)
	for _, v := range list {
		words = append(words, fmt.Sprint(v))
	}
	if len(words) == 0 {
		m.t.Fatalf("%s: %s is %v, want a list", m.path, keys, m.at(keys))
	}
	return words
}

// says checks what is said under keys, each followed by its value, as the
// container must not be able to do more.
func (m *manifest) says(under string, want map[string]any) {
	m.t.Helper()
	for keys, value := range want {
		if got := m.at(under + " " + keys); !reflect.DeepEqual(got, value) {
			m.t.Errorf("%s: %s %s is %v, want %v", m.path, under, keys, got, value)
		}
	}
}

var all = []any{"ALL"}

// readCompose checks that the tunnel may do nothing, and that the program has no
// other way out.
func readCompose(t *testing.T) *container {
	t.Helper()
	m := readManifest(t, "container/compose.yaml")
	m.says("services tunnel", map[string]any{
		"build context": "../..", "build dockerfile": "examples/container/Containerfile",
		"user": readContainerfile(t).user, "read_only": true, "cap_drop": all, "security_opt": []any{"no-new-privileges:true"},
		"tmpfs 0": "/run:mode=1777,size=1m", "volumes 1": nil, "ports": nil, "healthcheck test 0": "CMD",
	})
	m.says("services program", map[string]any{
		"depends_on tunnel condition": "service_healthy", "networks": map[string]any{"inside": map[string]any{}},
	})
	m.says("networks inside", map[string]any{"internal": true})
	path, readOnly := strings.CutSuffix(m.text("services tunnel volumes 0"), ":ro")
	from, path, _ := strings.Cut(path, ":")
	if from != "./wg0.conf" || !readOnly {
		t.Errorf("the configuration is mounted from %s, read-only: %v", from, readOnly)
	}
	return &container{
		args: m.words("services tunnel command"), config: path,
		proxy:     m.text("services program environment ALL_PROXY"),
		addresses: []string{m.text("services tunnel networks inside ipv4_address")},
		checks:    [][]string{m.words("services tunnel healthcheck test")[1:]},
	}
}

// readSidecar checks that the tunnel may do nothing, by the standard for pods that
// Kubernetes calls restricted.
func readSidecar(t *testing.T) *container {
	t.Helper()
	m := readManifest(t, "container/sidecar.yaml")
	const pod, tunnel = "spec template spec", "spec template spec initContainers 0"
	user, _, _ := strings.Cut(readContainerfile(t).user, ":")
	id, err := strconv.Atoi(user)
	if err != nil {
		t.Fatalf("Kubernetes cannot tell that %q is not root", user)
	}
	m.says(pod, map[string]any{
		"securityContext runAsNonRoot": true, "securityContext runAsUser": id, "securityContext runAsGroup": id, "securityContext fsGroup": id,
		"securityContext seccompProfile type": "RuntimeDefault", "automountServiceAccountToken": false,
		"hostNetwork": nil, "initContainers 1": nil,
		"volumes 0 name": "wg0", "volumes 0 secret secretName": "wg0", "volumes 0 secret defaultMode": 0o440,
		"volumes 1 name": "run", "volumes 1 emptyDir medium": "Memory",
	})
	for _, c := range []string{tunnel, pod + " containers 0"} {
		m.says(c, map[string]any{
			"securityContext allowPrivilegeEscalation": false, "securityContext readOnlyRootFilesystem": true,
			"securityContext capabilities drop": all, "securityContext capabilities add": nil, "ports": nil,
		})
	}
	m.says(tunnel, map[string]any{
		"restartPolicy": "Always", "command": nil,
		"volumeMounts 0 name": "wg0", "volumeMounts 0 readOnly": true, "volumeMounts 1 name": "run", "volumeMounts 1 mountPath": "/run",
	})
	m.says(pod+" containers 0 env 0", map[string]any{"name": "ALL_PROXY"})
	return &container{
		args: m.words(tunnel + " args"), config: m.text(tunnel + " volumeMounts 0 mountPath"),
		proxy:  m.text(pod + " containers 0 env 0 value"),
		checks: [][]string{m.words(tunnel + " startupProbe exec command"), m.words(tunnel + " readinessProbe exec command")},
	}
}

// The image holds the program and nothing else, and is nobody's.
func TestContainerfile(t *testing.T) {
	c := readContainerfile(t)
	if c.from != "scratch" || c.run[len(c.run)-1] != "make build" || c.program != [2]string{"/src/bin/wgnode", "/wgnode"} {
		t.Errorf("%+v", c)
	}
	if user, _, _ := strings.Cut(c.user, ":"); user == "" || user == "0" || user == "root" {
		t.Errorf("it runs as %q", c.user)
	}
	if !slices.Equal(c.entry, []string{c.program[1]}) || !slices.Equal(c.args, []string{"run", "/etc/wireguard/wg0.conf"}) {
		t.Errorf("it runs %q %q", c.entry, c.args)
	}
}
