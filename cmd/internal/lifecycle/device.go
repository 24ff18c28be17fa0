package lifecycle

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"log/slog"
	"os"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/wgnode/wgnode/cmd/internal/cli"
	"github.com/wgnode/wgnode/cmd/internal/daemon"
	"github.com/wgnode/wgnode/node"
)

// The environment by which wireguard-go can be told what it has no arguments
// for.
const (
	envTUN        = "WG_TUN_FD"
	envUAPI       = "WG_UAPI_FD"
	envForeground = "WG_PROCESS_FOREGROUND"
	envLogLevel   = "LOG_LEVEL"
)

func NewDeviceCommand() *cobra.Command {
	var foreground bool
	cmd := &cobra.Command{
		Use:   "device NAME",
		Short: "Create one unconfigured device, as wireguard-go does",
		Long: `Device creates a userspace WireGuard interface without keys, peers and addresses,
and returns when wg(8) can configure it. It replaces wireguard-go NAME: run
through a link named wireguard-go, this program behaves like that one, so that
wg-quick(8) can use it as WG_QUICK_USERSPACE_IMPLEMENTATION. Explain, doctor and
watch work with such an interface.

It ends on SIGTERM, and when the interface or its socket is removed.

Environment: WG_TUN_FD and WG_UAPI_FD are open descriptors to use,
WG_PROCESS_FOREGROUND=1 means -f, LOG_LEVEL is verbose, error (the default) or
silent.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if foreground || os.Getenv(envForeground) == "1" {
				parent := daemon.TakeReporter()
				return parent.Failed(runDevice(cmd, args[0], parent))
			}
			l, err := deviceLaunch(args[0])
			if err != nil {
				return err
			}
			ctx, stop := cli.Interrupted(cmd.Context())
			defer stop()
			return daemon.Background(ctx, l)
		},
	}
	cmd.Flags().BoolVarP(&foreground, "foreground", "f", false, "stay in the foreground")
	return cmd
}

// deviceLaunch passes on the descriptors that this process was given.
func deviceLaunch(name string) (daemon.Launch, error) {
	l := daemon.Launch{Args: []string{"device", "--foreground", name}}
	for _, env := range []string{envTUN, envUAPI} {
		f, err := inherited(env)
		if err != nil {
			return daemon.Launch{}, err
		}
		if f != nil {
			l.Env = append(l.Env, fmt.Sprintf("%s=%d", env, 4+len(l.Files)))
			l.Files = append(l.Files, f)
		}
	}
	return l, nil
}

// inherited returns the file behind a descriptor that the environment names,
// nil if it names none.
func inherited(env string) (*os.File, error) {
	text := os.Getenv(env)
	if text == "" {
		return nil, nil
	}
	fd, err := strconv.ParseUint(text, 10, 31)
	if err != nil {
		return nil, fmt.Errorf("%s is not the number of a descriptor: %q", env, text)
	}
	if err := takeOver(int(fd)); err != nil {
		return nil, fmt.Errorf("use descriptor %d, as %s says: %w", fd, env, err)
	}
	return os.NewFile(uintptr(fd), env), nil
}

func runDevice(cmd *cobra.Command, name string, parent *daemon.Reporter) error {
	if err := daemon.PrepareProcess(); err != nil {
		return err
	}
	var files node.DeviceFiles
	var err error
	if files.TUN, err = inherited(envTUN); err != nil {
		return err
	}
	if files.UAPI, err = inherited(envUAPI); err != nil {
		return err
	}
	ctx, stop := cli.Interrupted(cmd.Context())
	defer stop()
	n, err := node.StartDevice(name, node.Options{Logger: slog.New(newDeviceLog(cmd.OutOrStdout(), name))}, files)
	if err != nil {
		return explainRefusal(err, false)
	}
	if err := deviceReady(parent); err != nil {
		return errors.Join(err, n.Close())
	}
	return errors.Join(n.Run(ctx), n.Close())
}

// deviceReady is the reporter's ready, but for a log that goes to the parent's
// terminal, where wireguard-go's goes too.
func deviceReady(parent *daemon.Reporter) error {
	if level := os.Getenv(envLogLevel); parent != nil && level != "" && level != "silent" {
		return parent.Detach()
	}
	if parent == nil {
		return daemon.TakeNotifier().Tell("READY=1")
	}
	return parent.Ready("")
}

// deviceLog writes wireguard-go's log: "DEBUG: (wg0) 2006/01/02 15:04:05 text".
type deviceLog struct {
	level  slog.Level
	debug  *log.Logger
	errors *log.Logger
}

func newDeviceLog(out io.Writer, name string) slog.Handler {
	level := slog.LevelError
	switch os.Getenv(envLogLevel) {
	case "verbose", "debug":
		level = slog.LevelDebug
	case "silent":
		return slog.DiscardHandler
	}
	return &deviceLog{level, log.New(out, "DEBUG: ("+name+") ", log.LstdFlags), log.New(out, "ERROR: ("+name+") ", log.LstdFlags)}
}

// Enabled, Handle, WithAttrs and WithGroup implement slog.Handler. Attributes
// that were added to the logger are left out: the name is in the prefix.
func (l *deviceLog) Enabled(_ context.Context, level slog.Level) bool { return level >= l.level }

// Handle is described at Enabled.
func (l *deviceLog) Handle(_ context.Context, r slog.Record) error {
	text := r.Message
	r.Attrs(func(a slog.Attr) bool {
		if a.Key == "error" || a.Key == "reason" {
			text += ": " + a.Value.String()
		}
		return true
	})
	to := l.debug
	if r.Level >= slog.LevelError {
		to = l.errors
	}
	return to.Output(2, text)
}

// WithAttrs is described at Enabled.
func (l *deviceLog) WithAttrs([]slog.Attr) slog.Handler { return l }

// WithGroup is described at Enabled.
func (l *deviceLog) WithGroup(string) slog.Handler { return l }
