package lifecycle

import (
	"errors"
	"fmt"
	"os"
	"os/exec"

	"github.com/wgnode/wgnode/cmd/internal/naming"
	"github.com/wgnode/wgnode/node"
	"github.com/wgnode/wgnode/node/kernelnode"
	"github.com/wgnode/wgnode/node/plan"
	"github.com/wgnode/wgnode/node/port"
	nameservers "github.com/wgnode/wgnode/node/resolver"
	"github.com/wgnode/wgnode/node/route"
	"github.com/wgnode/wgnode/node/running"
)

// What the errors of the packages below say happened; here is what to type.

// resolverHints are for a file of name servers that cannot be changed.
func resolverHints(e *nameservers.FixedError) []string {
	without := "or leave the name servers alone: remove DNS from a .conf; in a .toml, resolver = \"off\""
	if e.Immutable {
		return []string{"chattr -i " + e.Path + " allows it to be changed", without}
	}
	return []string{
		"on a host: mount -o remount,rw the file system of " + e.Path,
		"in a container: mount a file that can be written, as -v ./resolv.conf:" + e.Path + " does",
		without + ", and give them to the container with --dns",
	}
}

// startHints are for what keeps a tunnel from coming up.
func startHints(err error) []string {
	if e, ok := errors.AsType[*node.UpError](err); ok {
		return []string{"to apply changes: wgnode reload " + e.Name, "to take it down: wgnode down " + e.Name}
	}
	if errors.Is(err, node.ErrFewFiles) {
		return []string{"raise the limit: ulimit -n 1024; in a unit of systemd: LimitNOFILE=1024"}
	}
	if e, ok := errors.AsType[*nameservers.FixedError](err); ok {
		return resolverHints(e)
	}
	if e, ok := errors.AsType[*plan.LinkExistsError](err); ok {
		return linkHints(e.Name)
	}
	if e, ok := errors.AsType[*route.ExistsError](err); ok {
		return routeHints(e)
	}
	if _, ok := errors.AsType[*plan.MTUError](err); ok {
		return []string{"set MTU to 1280, or take the IPv6 addresses out of Address and AllowedIPs"}
	}
	if e, ok := errors.AsType[*port.InUseError](err); ok {
		return portHints(e)
	}
	if errors.Is(err, plan.ErrLinkGone) {
		return []string{"do the hooks delete it? PreUp and PostUp run when the interface is there"}
	}
	if e, ok := errors.AsType[*exec.ExitError](err); ok && e.ExitCode() == statusNotFound {
		return []string{"127 means that bash did not find a command of the hook: is it installed, and in PATH?"}
	}
	return nil
}

// linkHints say how to get rid of an interface that a tunnel cannot take over. Of
// one that is no tunnel they say nothing: it may be this host's network card.
func linkHints(name string) []string {
	const other = "or give the file of the new tunnel another name"
	switch k, err := running.Find(name); {
	case err == nil && k != nil && k.State == running.StateRunning:
		return []string{"to apply changes: wgnode reload " + name, "to take it down: wgnode down " + name}
	case kernelnode.IsDevice(name):
		return []string{"the kernel's WireGuard serves it; to take it down: wg-quick down " + name, other}
	case naming.ServedElsewhere(name):
		return []string{"another program serves it; to take it down: wg-quick down " + name, other}
	}
	return []string{name + " is an interface of this host, not a tunnel: give the file of the tunnel another name"}
}

// routeHints say what to do about a route that is in the way.
func routeHints(e *route.ExistsError) []string {
	k, err := running.Find(e.Link)
	ours := err == nil && k != nil && k.State == running.StateRunning
	switch {
	case e.Link == "":
		return nil
	case (ours || kernelnode.IsDevice(e.Link) || naming.ServedElsewhere(e.Link)) && e.Prefix.Bits() == 0:
		return []string{fmt.Sprintf("%s has its default route in that table, too: leave FwMark and Table out of one of the two files", e.Link)}
	case ours:
		return []string{fmt.Sprintf("the tunnel %s has it: take %s out of AllowedIPs of one of the two, or: wgnode down %s",
			e.Link, e.Prefix, e.Link)}
	case kernelnode.IsDevice(e.Link) || naming.ServedElsewhere(e.Link):
		return []string{fmt.Sprintf("the tunnel %s has it: take %s out of AllowedIPs of one of the two, or: wg-quick down %s",
			e.Link, e.Prefix, e.Link)}
	case e.Connected:
		return []string{fmt.Sprintf("%s is in the network %s itself: take it out of AllowedIPs; "+
			"for hosts behind the tunnel put their addresses there, such as %s/%d",
			e.Link, e.Prefix, e.Prefix.Addr().Next(), e.Prefix.Addr().BitLen())}
	}
	return []string{fmt.Sprintf("take %s out of AllowedIPs, or set Table = off and add the routes in PostUp", e.Prefix)}
}

// portHints say who has the port that a tunnel or a service wants.
func portHints(e *port.InUseError) []string {
	all, _ := running.List() // what cannot be seen is not named
	for i := range all {
		if k := &all[i]; k.PID == e.Owner.PID && k.PID != 0 {
			return []string{fmt.Sprintf("that is the tunnel %s: choose another port, or: wgnode down %s", k.Name, k.Name)}
		}
	}
	switch {
	case e.Owner.Kernel:
		return []string{"`wg show all listen-port` lists WireGuard's ports; choose another one"}
	case e.Owner.PID == 0 && os.Geteuid() != 0:
		return []string{fmt.Sprintf("root sees who has it: sudo ss -lp sport = :%d", e.Port)}
	}
	return []string{"choose another port, or end that program"}
}
