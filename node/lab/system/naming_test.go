//go:build linux

package system

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/wgnode/wgnode/node/lab"
	"github.com/wgnode/wgnode/node/lab/sitetest"
	"github.com/wgnode/wgnode/probe/diagnose"
)

// Every command finds the node by each word that up finds it by. The shell leads
// with $W, which is empty for no word; the output must have what is wanted in it.
type namedBy struct {
	script  string
	want    string
	pending bool // goes before up: two of one name cannot be
	needs   bool // does not go without a word, as with wg(8), or means all then
}

var namingCommands = map[string]namedBy{
	"exec":     {script: `wgnode exec -q $W -- ip -o link | grep -c tun || echo in`, want: "in", pending: true, needs: true},
	"up":       {script: `wgnode up $W --dry-run`, want: "dev wgs", pending: true},
	"run":      {script: `! wgnode run $W`, want: "wgs is already up"},
	"convert":  {script: `wgnode convert $W`, want: "10.66.0.1", needs: true},
	"strip":    {script: `wgnode strip $W`, want: "PrivateKey", needs: true},
	"show":     {script: `wgnode show $W`, want: "interface: wgs"},
	"showconf": {script: `wgnode showconf $W`, want: "PublicKey", needs: true},
	"set":      {script: `wgnode set $W listen-port 51999 && wgnode show wgs listen-port`, want: "51999", needs: true},
	"setconf":  {script: `wgnode showconf wgs >wg && wgnode setconf $W wg && echo done`, want: "done", needs: true},
	"addconf":  {script: `wgnode showconf wgs >wg && wgnode addconf $W wg && echo done`, want: "done", needs: true},
	"syncconf": {script: `wgnode showconf wgs >wg && wgnode syncconf $W wg && echo done`, want: "done", needs: true},
	"watch":    {script: `! wgnode watch $W peer carol`, want: `carol`},
	"top":      {script: `! wgnode top $W`, want: "top of wgs: standard output is not a terminal"},
	"drops":    {script: `wgnode drops $W --for 10ms && echo done`, want: "looking at what the kernel drops of wgs\n"},
	"bundle":   {script: `wgnode bundle $W -w bundle.tar.gz && rm bundle.tar.gz`, want: "the state of the node"},
	"record":   {script: `wgnode record $W -w - --for 10ms >rec && echo done`, want: "recording wgs\n"},
	"explain":  {script: `wgnode explain $W 10.99.0.9 --json --timeout 1s || test $? = 2`, want: `"interface": "wgs"`},
	"trace":    {script: `wgnode trace $W 10.66.0.2 --json --timeout 10ms || test $? = 2`, want: `"interface": "wgs"`},
	"ping":     {script: `wgnode ping $W 10.66.0.2 -c 1 -W 0.01 --json || test $? = 1`, want: `"interface": "wgs"`},
	"status":   {script: `wgnode status $W --json`, want: `"interface": "wgs"`},
	"doctor":   {script: `wgnode doctor $W --json || test $? = 2`, want: `"interface": "wgs"`},
	"history":  {script: `wgnode history $W --json`, want: `"interface": "wgs"`},
	"web":      {script: webScript, want: "serving wgs at ", needs: true},
	"connect":  {script: `! wgnode connect $W 10.66.0.2:22 </dev/null`, want: "wgs"},
	"reload":   {script: `wgnode reload $W && echo done`, want: "done"},
	"save":     {script: `wgnode save $W && cat $FILE`, want: "10.66.0.1"},
	"apply":    {script: `wgnode apply $W`, want: "unchanged", needs: true},
	"check":    {script: `wgnode check $W`, want: "is valid"},
	"peer":     {script: `wgnode peer list $W`, want: "10.66.0.2/32"},
	"undo":     {script: `wgnode undo $W --list`, want: "left to undo"},
	"recover":  {script: `wgnode recover $W`, want: "wgs is running"},
	"down":     {script: `wgnode down $W`, want: "ip link delete dev wgs"},
}

// webScript has the page served until it says where.
const webScript = `rm -f link; wgnode web $W --listen unix:$PWD/web.sock --link link 2>err & until test -e link; do sleep 0.05; done
	kill $!; wait $!; cat err`

// Of no node that up could name.
var notNaming = []string{"init", "device", "monitor", "demo", "merge", "genkey", "genpsk", "pubkey", "version", "help", "completion"}

const (
	wordConf = "[Interface]\nPrivateKey = KEY\nAddress = 10.66.0.1/24\nListenPort = 51998\n" +
		"[Peer]\nPublicKey = PUBLIC\nAllowedIPs = 10.66.0.2/32\nEndpoint = 127.0.0.1:9\n"
	wordTOML = "[interface]\nname = \"wgs\"\nprivate_key = \"KEY\"\naddress = [\"10.66.0.1/24\"]\nlisten_port = 51998\n" +
		"[[peer]]\npublic_key = \"PUBLIC\"\nallowed_ips = [\"10.66.0.2/32\"]\nendpoint = \"127.0.0.1:9\"\n"
)

func TestEveryCommandTakesEveryWord(t *testing.T) {
	lab.Need(t, "bash", "ip", "ps", "wg")
	t.Parallel()
	wgnode, keys, other := lab.Wgnode(t), lab.NewKey(t), lab.NewKey(t)
	var commands []string
	for line := range strings.Lines(lab.New(t).Host("h").Run(wgnode, "__complete", "")) {
		name, _, ok := strings.Cut(line, "\t")
		_, takes := namingCommands[name]
		if ok && !takes && !slices.Contains(notNaming, name) {
			t.Errorf("does %s take the name of a node? say so here", name)
		}
		if ok && takes && name != "down" {
			commands = append(commands, name)
		}
	}
	for name, test := range map[string]struct{ word, file string }{
		"file in the folder":     {"wgs.conf", "wgs.conf"},
		"path from here":         {"./wgs.conf", "wgs.conf"},
		"path from there":        {"sub/../wgs.conf", "wgs.conf"},
		"absolute path":          {"$PWD/wgs.conf", "wgs.conf"},
		"link":                   {"links/wgs.conf", "links/other.conf"},
		"toml in the folder":     {"net.toml", "net.toml"},
		"path of a toml":         {"./net.toml", "net.toml"},
		"absolute path of toml":  {"$PWD/net.toml", "net.toml"},
		"name":                   {"wgs", "/etc/wireguard/wgs.conf"},
		"name that a toml gives": {"home", "/etc/wireguard/home.toml"},
		"nothing, for a toml":    {"", "wgnode.toml"},
		"nothing, for the only":  {"", "/etc/wireguard/wgs.conf"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h, dir := lab.New(t).Host("h"), t.TempDir()
			h.Run("sh", "-c", "mkdir -p /run/bin && ln -s "+wgnode+" /run/bin/wgnode && ip link set lo up")
			text := wordConf
			if strings.HasSuffix(test.file, ".toml") {
				text = wordTOML
			}
			run := func(script string) (string, int) {
				t.Helper()
				out, status, err := h.Try("env", "PATH=/run/bin:/usr/sbin:/usr/bin:/sbin:/bin", "FILE="+test.file,
					"bash", "-c", "cd "+dir+" && W="+test.word+"\n"+script)
				if err != nil {
					t.Fatal(err)
				}
				return out, status
			}
			h.Run("sh", "-c", "mkdir "+dir+"/sub "+dir+"/links; ln -s other.conf "+dir+"/links/wgs.conf")
			file := test.file
			if file[0] != '/' {
				file = dir + "/" + file
			}
			h.WriteFile(file, strings.NewReplacer("KEY", keys.Private, "PUBLIC", other.Public).Replace(text), 0o600)
			try := func(name string) {
				t.Helper()
				c := namingCommands[name]
				if c.needs && test.word == "" {
					return
				}
				if out, status := run(c.script); status != 0 || !strings.Contains(out, c.want) {
					t.Errorf("%s: status %d, want %q in\n%s", name, status, c.want, out)
				}
			}
			try("exec")
			try("up")
			if out, status := run("wgnode up $W"); status != 0 {
				t.Fatalf("up: status %d\n%s", status, out)
			}
			for _, name := range commands {
				if !namingCommands[name].pending {
					try(name)
				}
			}
			try("down")
			if out := h.Run("ip", "-o", "link"); strings.Contains(out, "wgs") {
				t.Fatalf("still there:\n%s", out)
			}
		})
	}
}

// Without a word it must be clear which node is meant, above all to what changes it;
// a node keeps its name when its file gets another one, or goes.
func TestWhichNodeIsMeant(t *testing.T) {
	lab.Need(t, "bash", "ip", "ps")
	t.Parallel()
	h, wgnode, dir := lab.New(t).Host("h"), lab.Wgnode(t), t.TempDir()
	write := func(path, format, name string) {
		text := strings.NewReplacer("KEY", lab.NewKey(t).Private, "PUBLIC", lab.NewKey(t).Public, "wgs", name, "51998", "0").Replace(format)
		h.WriteFile(path, text, 0o600)
	}
	in := func(folder, script string) []string { return []string{"sh", "-c", "cd " + folder + " && " + script} }
	write(dir+"/one.conf", wordConf, "")
	write(dir+"/two.toml", wordTOML, "two")
	h.Run("mkdir", dir+"/sub")
	write(dir+"/sub/wgnode.toml", wordTOML, "three")

	sitetest.Fails(t, h, 1, "no node is running", wgnode, "down")
	h.Run(wgnode, "up", dir+"/one.conf")
	for _, command := range []string{"down", "reload", "save"} {
		sitetest.Fails(t, h, 1, "the tunnel of wgnode.toml in this folder is not up; running: one", in(dir+"/sub", wgnode+" "+command)...)
	}
	if out := h.Run(in(dir+"/sub", wgnode+" doctor --json || test $? = 2")...); !strings.Contains(out, `"interface": "one"`) {
		t.Errorf("doctor printed\n%s", out)
	}
	h.WriteFile("/etc/hosts", "10.66.0.2 one\n", 0o644) // the name is not looked up
	sitetest.Fails(t, h, 1, "missing DEST", wgnode, "explain", "one")
	sitetest.Fails(t, h, 2, "missing DEST", wgnode, "trace", "one")

	h.Run(wgnode, "up", dir+"/two.toml")
	for _, command := range [][]string{{"down"}, {"reload"}, {"save"}, {"doctor", "--fix", "--yes"}, {"trace", "10.66.0.2"}, {"watch"},
		{"connect", "10.66.0.2:22"}} {
		sitetest.Fails(t, h, 1, "more than one tunnel is running; choose one: one, two", append([]string{wgnode}, command...)...)
	}
	var reports []diagnose.DoctorReport // doctor looks at all of them
	out := h.Run("sh", "-c", wgnode+" doctor --json || test $? = 2")
	if err := json.Unmarshal([]byte(out), &reports); err != nil || len(reports) != 2 || reports[1].Interface != "two" {
		t.Errorf("doctor printed %v\n%s", err, out)
	}
	h.Run(in(dir+"/sub", wgnode+" up")...)
	h.Run(in(dir+"/sub", wgnode+" down")...) // the one that up means, too

	write(dir+"/two.toml", wordTOML, "four")
	h.Run(wgnode, "doctor", dir+"/two.toml")
	h.Run("rm", dir+"/two.toml", dir+"/one.conf")
	h.Run(wgnode, "down", dir+"/two.toml")
	h.Run(in(dir, wgnode+" down one.conf")...)
	if out := h.Run("ip", "-o", "link"); strings.Contains(out, "one") || strings.Contains(out, "two") {
		t.Errorf("still there:\n%s", out)
	}
}
