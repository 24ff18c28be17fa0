//go:build linux

package confine

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// ForbiddenError says what keeps this user from making namespaces, or a TUN
// device in them.
type ForbiddenError struct {
	// Setting is what forbids it: the name of a kernel parameter, or one of the
	// Setting constants.
	Setting string
	Value   string // of a kernel parameter
	Err     error  // what the kernel answered
}

// Settings that are no kernel parameter.
const (
	SettingSeccomp = "seccomp"      // a filter for system calls, as containers have
	SettingKernel  = "kernel"       // built without user namespaces
	SettingTUN     = "/dev/net/tun" // is not there, or not for this user
)

// Kernel parameters that forbid user namespaces.
const (
	SettingUserns   = "kernel.unprivileged_userns_clone"             // Debian's, 0
	SettingMaxUser  = "user.max_user_namespaces"                     // 0
	SettingMaxNet   = "user.max_net_namespaces"                      // 0
	SettingMaxMnt   = "user.max_mnt_namespaces"                      // 0
	SettingAppArmor = "kernel.apparmor_restrict_unprivileged_userns" // Ubuntu's, 1
)

func (e *ForbiddenError) Error() string {
	switch e.Setting {
	case SettingSeccomp:
		return fmt.Sprintf("a seccomp filter forbids this user to make namespaces: %v", e.Err)
	case SettingKernel:
		return fmt.Sprintf("this kernel has no user namespaces: %v", e.Err)
	case SettingTUN:
		return e.Err.Error()
	}
	return fmt.Sprintf("%s=%s forbids this user to make namespaces: %v", e.Setting, e.Value, e.Err)
}

// Unwrap returns what the kernel answered.
func (e *ForbiddenError) Unwrap() error { return e.Err }

// explainDenial finds the setting behind an error. Others stay as they are.
func explainDenial(err error) error {
	if strings.Contains(err.Error(), tunPath) {
		return &ForbiddenError{Setting: SettingTUN, Err: err}
	}
	denied := errors.Is(err, unix.EPERM) || errors.Is(err, unix.EACCES)
	full := errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EUSERS)
	if _, nerr := os.Stat("/proc/self/ns/user"); nerr != nil && errors.Is(err, unix.EINVAL) {
		return &ForbiddenError{Setting: SettingKernel, Err: err}
	}
	for _, s := range []struct {
		name, forbids string
		applies       bool
	}{
		{SettingUserns, "0", denied},
		{SettingMaxUser, "0", full},
		{SettingMaxNet, "0", full},
		{SettingMaxMnt, "0", full},
		{SettingAppArmor, "1", denied},
	} {
		if s.applies && parameter(s.name) == s.forbids {
			return &ForbiddenError{Setting: s.name, Value: s.forbids, Err: err}
		}
	}
	if denied && filtered() {
		return &ForbiddenError{Setting: SettingSeccomp, Err: err}
	}
	return err
}

// parameter is the value of a kernel parameter, "" if it cannot be read: then it
// is not to blame.
func parameter(name string) string {
	b, err := os.ReadFile("/proc/sys/" + strings.ReplaceAll(name, ".", "/"))
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(b))
}

// filtered reports whether this process is under a seccomp filter.
func filtered() bool {
	b, err := os.ReadFile("/proc/self/status")
	return err == nil && strings.Contains(string(b), "\nSeccomp:\t2\n")
}
