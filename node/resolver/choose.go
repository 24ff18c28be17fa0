package resolver

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

const (
	resolvConf     = "/etc/resolv.conf"
	interfaceOrder = "/etc/resolvconf/interface-order"
)

// Host is where a host has what this package works on. The zero value is the
// host that the program runs on.
type Host struct {
	ResolvConf     string // "" for /etc/resolv.conf
	InterfaceOrder string // "" for /etc/resolvconf/interface-order

	// hasLink tells whether a link exists; nil asks the kernel.
	hasLink func(name string) bool
}

func (h Host) resolvConf() string {
	if h.ResolvConf == "" {
		return resolvConf
	}
	return h.ResolvConf
}

// Choice is where a host has its name servers set, and what has to be known of
// it before anything is changed.
type Choice struct {
	Kind Kind   // not Auto
	Why  string // what speaks for it, for people
	// Prefix is for the name of resolvconf's record.
	Prefix string
	// Before is what the file is now; nil unless Kind is File.
	Before *Snapshot
}

// Choose finds out where name servers are to be set. A want that is not [Auto]
// settles the kind; the error then says what the host lacks for it.
//
// Otherwise it is systemd-resolved if that answers and either /etc/resolv.conf
// is its own or resolvconf is but another name of its program; else resolvconf
// if it is installed, as with wg-quick; else the file.
func (h Host) Choose(want Kind) (Choice, error) {
	c, err := h.choose(want)
	if err != nil {
		return Choice{}, fmt.Errorf("choose a resolver: %w", err)
	}
	switch c.Kind {
	case Resolvconf:
		c.Prefix, err = h.recordPrefix()
	case File:
		c.Before, err = takeSnapshot(h.resolvConf())
		if err == nil {
			err = h.fixed(c.Before)
		}
	}
	return c, err
}

// FixedError says that the file of name servers cannot be changed, whoever tries.
type FixedError struct {
	Path      string
	Immutable bool // by chattr(1); else its file system is read-only
}

func (e *FixedError) Error() string {
	if e.Immutable {
		return e.Path + " is immutable"
	}
	return e.Path + " is on a read-only file system"
}

// fixed returns why the file, which is now, cannot be changed, nil if it can.
func (h Host) fixed(now *Snapshot) error {
	path := h.resolvConf()
	if now.immutable {
		return &FixedError{Path: path, Immutable: true}
	}
	// A file is written in place where it is a mount point; all else is made anew.
	look := path
	if now.Absent || now.Target != "" {
		look = filepath.Dir(path)
	}
	if readOnly(look) {
		return &FixedError{Path: path}
	}
	return nil
}

func (h Host) choose(want Kind) (Choice, error) {
	const forced = "the configuration says so"
	switch want {
	case Resolved:
		if err := pingResolved(); err != nil {
			return Choice{}, fmt.Errorf("the configuration says %s: %w", want, err)
		}
		return Choice{Kind: want, Why: forced}, nil
	case Resolvconf:
		if _, err := exec.LookPath(program); err != nil {
			return Choice{}, fmt.Errorf("the configuration says %s: %w", want, err)
		}
		return Choice{Kind: want, Why: forced}, nil
	case File, Off:
		return Choice{Kind: want, Why: forced}, nil
	}

	path, err := exec.LookPath(program)
	if err != nil && !errors.Is(err, exec.ErrNotFound) {
		return Choice{}, err
	}
	absent := "resolvconf is not installed"
	sign, err := h.signOfResolved()
	if err != nil {
		return Choice{}, err
	}
	if path != "" && isResolvectl(path) {
		path, absent = "", "resolvconf is another name of resolvectl"
		if sign == "" {
			sign = absent
		}
	}
	if sign != "" {
		err := pingResolved()
		if err == nil {
			return Choice{Kind: Resolved, Why: sign}, nil
		}
		absent += fmt.Sprintf(", %s, but %v", sign, err)
	} else {
		absent += fmt.Sprintf(", and %s is not systemd-resolved's", h.resolvConf())
	}
	if path != "" {
		return Choice{Kind: Resolvconf, Why: path + " is installed"}, nil
	}
	return Choice{Kind: File, Why: absent}, nil
}

// isResolvectl reports whether a program is systemd's, which behaves like
// resolvconf if called so.
func isResolvectl(path string) bool {
	real, err := filepath.EvalSymlinks(path)
	name := filepath.Base(real)
	return err == nil && (name == "resolvectl" || name == "systemd-resolve")
}

// signOfResolved returns what shows that programs which read resolv.conf end up
// at systemd-resolved, or "" if they do not.
func (h Host) signOfResolved() (string, error) {
	path := h.resolvConf()
	target, err := os.Readlink(path)
	if err == nil && !filepath.IsAbs(target) {
		target = filepath.Join(filepath.Dir(path), target)
	}
	if strings.HasPrefix(filepath.Clean(target), "/run/systemd/resolve/") {
		return fmt.Sprintf("%s is a link to %s", path, target), nil
	}
	// What another program has put there may lead to it all the same.
	text, err := readConf(path)
	if absent(err) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	stubs := []string{"127.0.0.53", "127.0.0.54"} // systemd-resolved.service(8)
	found := false
	for line := range strings.Lines(string(text)) {
		f := strings.Fields(line)
		if len(f) < 2 || f[0] != "nameserver" {
			continue
		}
		if !slices.Contains(stubs, f[1]) {
			return "", nil
		}
		found = true
	}
	if !found {
		return "", nil
	}
	return fmt.Sprintf("%s names only %s", path, stubs[0]), nil
}

// absent reports whether an error says that a file is not there.
func absent(err error) bool { return errors.Is(err, fs.ErrNotExist) }
