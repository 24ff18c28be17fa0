// Package sysctl reads and sets kernel parameters by the names that sysctl(8)
// has for them, such as net.ipv4.ip_forward.
//
// A parameter is a file below /proc/sys. Those of the network belong to the
// network namespace of the calling thread. In a container the files are often
// mounted read-only, whoever one is: [Writable] tells before anything is tried.
package sysctl

import (
	"fmt"
	"os"
	"strings"
)

// path returns the file of a parameter. A name that holds a slash has slashes
// between its parts, as in sysctl(8), because parts may hold dots themselves:
// net/ipv4/conf/eth0.100/forwarding.
func path(name string) string {
	if !strings.Contains(name, "/") {
		name = strings.ReplaceAll(name, ".", "/")
	}
	return "/proc/sys/" + name
}

// Name joins the parts of a parameter's name, by dots if that is possible.
func Name(parts ...string) string {
	for _, p := range parts {
		if strings.Contains(p, ".") {
			return strings.Join(parts, "/")
		}
	}
	return strings.Join(parts, ".")
}

// List returns the names of what is below a parameter's parent, such as the
// interfaces below net.ipv4.conf.
func List(name string) ([]string, error) {
	entries, err := os.ReadDir(path(name))
	if err != nil {
		return nil, fmt.Errorf("list sysctl %s: %w", name, err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names, nil
}

// Read returns the value of a parameter. The error wraps fs.ErrNotExist if this
// kernel has no such parameter.
func Read(name string) (string, error) {
	b, err := os.ReadFile(path(name))
	if err != nil {
		return "", fmt.Errorf("read sysctl %s: %w", name, err)
	}
	return strings.TrimSpace(string(b)), nil
}

// Write sets a parameter. The error wraps EROFS where it is mounted read-only.
func Write(name, value string) error {
	// O_CREATE, as os.WriteFile has it, would hide EROFS behind other errors.
	f, err := os.OpenFile(path(name), os.O_WRONLY, 0)
	if err == nil {
		_, err = f.WriteString(value)
		if closeErr := f.Close(); err == nil {
			err = closeErr
		}
	}
	if err != nil {
		return fmt.Errorf("set sysctl %s=%s: %w", name, value, err)
	}
	return nil
}

// Namespace names the network namespace of the calling thread, which the
// parameters of the network belong to.
func Namespace() string {
	name, err := os.Readlink("/proc/thread-self/ns/net")
	if err != nil {
		return "" // without /proc there are no parameters either
	}
	return name
}
