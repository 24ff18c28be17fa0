//go:build linux

package lab

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// holderEnv names the host that a process is to hold. Its presence is what
// makes a process a holder.
const holderEnv = "WGNODE_LAB_HOLDER"

// holderReady is all that a holder prints when its host is furnished. Anything
// else is an error.
const holderReady = "ready\n"

func init() {
	if name, ok := os.LookupEnv(holderEnv); ok {
		hold(name)
	}
	// Threads that entered a host are thrown away, but the main thread cannot
	// be, and /proc/self speaks of it. Keep it for the main goroutine, so that
	// Host.Do never gets it.
	runtime.LockOSThread()
}

// holder is the test process's view of the process that holds a host.
type holder struct {
	cmd *exec.Cmd
	// life is the write end of the holder's standard input. Nothing is ever
	// written to it.
	life io.Closer
}

// startHolder starts a holder and returns when its host is furnished. The pipe
// to its standard input closes on exec, so that no other child of this process
// can keep it open.
func startHolder(name string) (*holder, error) {
	cmd := exec.Command("/proc/self/exe")
	cmd.Args = []string{"wgnode-lab-host", name}
	cmd.Env = append(os.Environ(), holderEnv+"="+name)
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: unix.CLONE_NEWNET | unix.CLONE_NEWNS | unix.CLONE_NEWPID | unix.CLONE_NEWUTS,
	}
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	life, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start a process in new namespaces: %w", err)
	}
	h := &holder{cmd: cmd, life: life}
	said, err := io.ReadAll(stdout)
	if err == nil && string(said) == holderReady {
		return h, nil
	}
	h.kill()
	err = errors.Join(err, h.wait())
	return nil, fmt.Errorf("holder is not ready: %s%s: %w", said, &stderr, err)
}

// kill ends the holder and, as it is process 1 there, all processes in its
// host. It does not wait for their end.
func (h *holder) kill() {
	// Either of the two is enough, so neither's error matters.
	_ = h.life.Close()
	_ = h.cmd.Process.Kill()
}

// wait waits for the end of the killed holder.
func (h *holder) wait() error {
	err := h.cmd.Wait()
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
		return nil
	}
	return err
}

// hold is the whole life of a holder: it furnishes the host, says so, adopts
// orphans as process 1 must, and exits at the end of its standard input.
func hold(name string) {
	if err := furnish(name); err != nil {
		fmt.Print(err)
		os.Exit(1)
	}
	orphans := make(chan os.Signal, 1)
	signal.Notify(orphans, unix.SIGCHLD)
	go func() {
		for range orphans {
			for {
				pid, err := unix.Wait4(-1, nil, unix.WNOHANG, nil)
				if err != nil || pid <= 0 {
					break
				}
			}
		}
	}()
	fmt.Print(holderReady)
	os.Stdout.Close()
	_, _ = io.Copy(io.Discard, os.Stdin)
	os.Exit(0)
}

// furnish makes the fresh namespaces of this process into a host.
func furnish(name string) error {
	if err := unix.Sethostname([]byte(name)); err != nil {
		return fmt.Errorf("set host name %s: %w", name, err)
	}
	// From here on no mount reaches the machine.
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("make mounts private: %w", err)
	}
	// /proc and /sys show the namespaces of whoever mounted them.
	for _, m := range []struct{ kind, on, data string }{
		{"proc", "/proc", ""},
		{"sysfs", "/sys", ""},
		{"tmpfs", "/run", "mode=755"},
	} {
		if err := unix.Mount("lab", m.on, m.kind, 0, m.data); err != nil {
			return fmt.Errorf("mount %s on %s: %w", m.kind, m.on, err)
		}
	}
	if err := joinVarRun(); err != nil {
		return err
	}
	if err := furnishState(); err != nil {
		return err
	}
	if err := furnishTUN(); err != nil {
		return err
	}
	if err := furnishEtc(name); err != nil {
		return err
	}
	return furnishNetwork()
}

// furnishState gives the host a folder of its own for the histories of tunnels.
func furnishState() error {
	const dir = "/var/lib/wgnode"
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("make %s to mount on: %w", dir, err)
	}
	if err := unix.Mount("lab", dir, "tmpfs", 0, "mode=700"); err != nil {
		return fmt.Errorf("mount tmpfs on %s: %w", dir, err)
	}
	return nil
}

// furnishTUN lets every user of the host open /dev/net/tun, as udev does on most
// systems, whatever it is like on this machine.
func furnishTUN() error {
	const dir = "/dev/net"
	if _, err := os.Stat(dir); err != nil {
		return fmt.Errorf("look for TUN devices: %w", err)
	}
	if err := unix.Mount("lab", dir, "tmpfs", unix.MS_NOEXEC|unix.MS_NOSUID, "mode=755"); err != nil {
		return fmt.Errorf("mount tmpfs on %s: %w", dir, err)
	}
	const misc, tun = 10, 200 // Documentation/admin-guide/devices.txt
	if err := unix.Mknod(dir+"/tun", unix.S_IFCHR|0o666, int(unix.Mkdev(misc, tun))); err != nil {
		return fmt.Errorf("make %s/tun: %w", dir, err)
	}
	return os.Chmod(dir+"/tun", 0o666) // past the umask
}

// joinVarRun makes /var/run and /run the same directory, as they are on most
// systems already, by a link.
func joinVarRun() error {
	if info, err := os.Lstat("/var/run"); err != nil || info.Mode()&os.ModeSymlink != 0 {
		return err
	}
	if err := unix.Mount("/run", "/var/run", "", unix.MS_BIND, ""); err != nil {
		return fmt.Errorf("bind /run on /var/run: %w", err)
	}
	return nil
}

// realEtc is where a host sees the machine's /etc, read-only.
const realEtc = "/run/lab-etc"

// furnishEtc replaces /etc by a directory of links into the machine's own, save
// for what a host has for itself. Unlike files that are mounted over, private
// files in a directory can be replaced by renaming, which is how resolv.conf
// is properly written.
func furnishEtc(name string) error {
	if err := os.Mkdir(realEtc, 0o755); err != nil {
		return err
	}
	if err := unix.Mount("/etc", realEtc, "", unix.MS_BIND|unix.MS_REC, ""); err != nil {
		return fmt.Errorf("bind /etc on %s: %w", realEtc, err)
	}
	if err := unix.Mount("", realEtc, "", unix.MS_REMOUNT|unix.MS_BIND|unix.MS_RDONLY, ""); err != nil {
		return fmt.Errorf("make %s read-only: %w", realEtc, err)
	}
	if err := unix.Mount("lab", "/etc", "tmpfs", 0, "mode=755"); err != nil {
		return fmt.Errorf("mount tmpfs on /etc: %w", err)
	}
	own := map[string]string{
		"hostname":    name + "\n",
		"hosts":       "127.0.0.1 localhost\n::1 localhost\n127.0.1.1 " + name + "\n",
		"resolv.conf": "",
	}
	for file, content := range own {
		if err := os.WriteFile("/etc/"+file, []byte(content), 0o644); err != nil {
			return err
		}
	}
	if err := os.Mkdir("/etc/wireguard", 0o700); err != nil {
		return err
	}
	entries, err := os.ReadDir(realEtc)
	if err != nil {
		return err
	}
	for _, e := range entries {
		target := realEtc + "/" + e.Name()
		if e.Type()&os.ModeSymlink != 0 {
			// A relative link works only from its own place.
			if target, err = os.Readlink(target); err != nil {
				return err
			}
		}
		if err := os.Symlink(target, "/etc/"+e.Name()); err != nil && !errors.Is(err, os.ErrExist) {
			return err
		}
	}
	return nil
}

// furnishNetwork brings the loopback interface up. IPv6 comes to life where the
// machine has it switched off for new interfaces, and goes without duplicate
// address detection, which would leave addresses unusable for a second or two,
// the link-local ones that neighbour discovery needs included.
func furnishNetwork() error {
	for _, set := range []struct{ name, value string }{
		{"all/disable_ipv6", "0"},
		{"default/disable_ipv6", "0"},
		{"lo/disable_ipv6", "0"},
		{"all/accept_dad", "0"},
		{"default/accept_dad", "0"},
	} {
		err := writeSysctl("net/ipv6/conf/"+set.name, set.value)
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	return setUp("lo")
}

// writeSysctl sets a kernel parameter in the calling thread's network
// namespace. The name may be written with dots or with slashes.
func writeSysctl(name, value string) error {
	if !strings.Contains(name, "/") {
		name = strings.ReplaceAll(name, ".", "/")
	}
	if err := os.WriteFile("/proc/sys/"+name, []byte(value), 0o644); err != nil {
		return fmt.Errorf("set %s=%s: %w", name, value, err)
	}
	return nil
}
