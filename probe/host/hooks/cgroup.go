//go:build linux

package hooks

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"

	"github.com/wgnode/wgnode/probe/evidence"
	"github.com/wgnode/wgnode/probe/harmless"
)

// cgroupsLooked bounds how many cgroups are looked at.
const cgroupsLooked = 4096

// errTooMany is said where there are more.
var errTooMany = fmt.Errorf("there are more than %d cgroups", cgroupsLooked)

// cgroups lists the programs of all cgroups that can be seen. A host without the second
// version of cgroups has none.
func (l *lister) cgroups() error {
	root, err := CgroupRoot()
	if err != nil || root == "" {
		return err
	}
	own := ownCgroup(root)
	looked := 0
	err = filepath.WalkDir(root, func(dir string, e fs.DirEntry, err error) error {
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return nil // it has gone meanwhile
		case err != nil:
			return err
		case !e.IsDir():
			return nil
		case looked >= cgroupsLooked:
			return errTooMany
		}
		looked++
		err = l.cgroup(root, dir, dir == root || own == dir || strings.HasPrefix(own, dir+"/"))
		if errors.Is(err, fs.ErrPermission) {
			return err
		}
		return nil // it has gone while it was looked at
	})
	if err != nil {
		return fmt.Errorf("look at cgroups: %w", err)
	}
	return nil
}

// ownCgroup is the folder of the cgroup that this process is in, "" if that is not known.
func ownCgroup(root string) string {
	all, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return ""
	}
	for line := range strings.Lines(string(all)) {
		if path, ok := strings.CutPrefix(strings.TrimSpace(line), "0::"); ok { // cgroups(7)
			return filepath.Join(root, path)
		}
	}
	return ""
}

func (l *lister) cgroup(root, dir string, own bool) error {
	f, err := os.Open(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer f.Close()
	for _, way := range []struct {
		kind   evidence.HookKind
		name   string
		attach ebpf.AttachType
	}{
		{evidence.HookCgroupIngress, "ingress", ebpf.AttachCGroupInetIngress},
		{evidence.HookCgroupEgress, "egress", ebpf.AttachCGroupInetEgress},
	} {
		r, err := link.QueryPrograms(link.QueryOptions{Target: int(f.Fd()), Attach: way.attach})
		if err != nil {
			return err
		}
		for _, p := range r.Programs {
			h := evidence.Hook{Kind: way.kind, Own: own, Show: "bpftool cgroup show " + harmless.Shell(dir),
				Text: fmt.Sprintf("BPF program %s for the %s of cgroup /%s", l.program(p.ID), way.name,
					harmless.Line(strings.TrimPrefix(strings.TrimPrefix(dir, root), "/"))),
				Remove: fmt.Sprintf("bpftool cgroup detach %s cgroup_inet_%s id %d", harmless.Shell(dir), way.name, p.ID)}
			if id, ok := l.links[p.ID]; ok { // it goes with that
				h.Remove = fmt.Sprintf("bpftool link detach id %d", id)
			}
			l.add(h)
		}
	}
	return nil
}

// CgroupRoot is where the second version of cgroups is mounted, "" if nowhere.
func CgroupRoot() (string, error) {
	f, err := os.Open("/proc/self/mountinfo")
	if err != nil {
		return "", fmt.Errorf("find where cgroups are mounted: %w", err)
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		// proc_pid_mountinfo(5): the mount point is the fifth field, the type follows " - ".
		mount, kind, ok := strings.Cut(lines.Text(), " - ")
		fields := strings.Fields(mount)
		if !ok || !strings.HasPrefix(kind, "cgroup2 ") || len(fields) < 5 {
			continue
		}
		dir := strings.NewReplacer(`\040`, " ", `\011`, "\t", `\134`, `\`).Replace(fields[4])
		var st unix.Statfs_t
		if unix.Statfs(dir, &st) == nil && st.Type == unix.CGROUP2_SUPER_MAGIC { // nothing else is mounted over it
			return dir, nil
		}
	}
	return "", nil
}
