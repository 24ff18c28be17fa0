package lifecycle

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/spf13/cobra"

	"github.com/wgnode/wgnode/cmd/internal/cli"
	"github.com/wgnode/wgnode/cmd/internal/daemon"
	"github.com/wgnode/wgnode/cmd/internal/naming"
	"github.com/wgnode/wgnode/node/config"
	"github.com/wgnode/wgnode/node/kernelnode"
)

// monitorFlags are the flags of monitor.
type monitorFlags struct {
	memory  uint // MiB of each flight recorder
	metrics cli.MetricsFlags
	log     daemon.LogFlags
}

func NewMonitorCommand() *cobra.Command {
	var f monitorFlags
	cmd := &cobra.Command{
		Use:   "monitor [NAME]...",
		Short: "Record packets of the kernel's WireGuard devices in memory",
		Long: `Monitor watches the kernel's WireGuard devices in the foreground until SIGTERM or
SIGINT, and keeps the latest packets of each in memory, as a node does for its own
device. "watch --past", "record", "explain" and "doctor" use it to see packets from
before they started. Without NAME it watches all devices that are up, including those
that come up later.

It changes nothing on the devices, keeps none of their secrets, and sends nothing. Each
device uses --memory; 16 MiB hold about the latest 60,000 packets. The processor time
grows with the number of packets, so it does not run unless you start it.

It needs root, or CAP_NET_ADMIN, CAP_NET_RAW, CAP_BPF, CAP_PERFMON and CAP_SYS_ADMIN.
With fewer capabilities it sees less, and says so; kernel.md in the documentation lists
what is seen. A systemd unit is installed but not enabled:
systemctl enable --now wgnode-monitor`,
		Example: `  wgnode monitor
  wgnode monitor wg0 --memory 64 --metrics 127.0.0.1:9587`,
		RunE:              func(cmd *cobra.Command, args []string) error { return runMonitor(cmd, args, &f) },
		ValidArgsFunction: completeKernel,
	}
	cmd.Flags().UintVar(&f.memory, "memory", 16, "`MIB` of memory for the packets of each device")
	f.metrics.Add(cmd, "serve /metrics at `ADDR`: 127.0.0.1:PORT, [::1]:PORT or unix:/PATH")
	f.log.Add(cmd)
	return cmd
}

func runMonitor(cmd *cobra.Command, names []string, f *monitorFlags) error {
	if f.memory < 1 || f.memory > maxRecorder {
		return cli.NewUsageError(cmd, fmt.Errorf("--memory %d: want 1 to %d MiB", f.memory, maxRecorder))
	}
	if err := f.metrics.Needed(cmd); err != nil {
		return err
	}
	for _, name := range names {
		if !config.ValidName(name) {
			return cli.NewUsageError(cmd, fmt.Errorf("%q: want the name of an interface", name))
		}
	}
	metrics, err := f.metrics.Place(cmd)
	if err != nil {
		return err
	}
	if err := daemon.PrepareProcess(); err != nil {
		return err
	}
	handler, err := f.log.Open(cmd, false)
	if err != nil {
		return err
	}
	ctx, stop := cli.Interrupted(cmd.Context())
	defer stop()
	manager := daemon.TakeNotifier()
	log := slog.New(handler)
	stopping := context.AfterFunc(ctx, func() {
		if err := manager.Tell("STOPPING=1"); err != nil {
			log.Error("cannot report the end to the service manager", "error", err)
		}
	})
	defer stopping()
	err = kernelnode.Monitor(ctx, kernelnode.MonitorOptions{
		Options: kernelnode.Options{Sender: naming.PassSocket, RecorderBytes: int(f.memory) << 20, Logger: log},
		Names:   names, Metrics: metrics, MetricsHosts: f.metrics.Hosts,
		Ready: func() error {
			log.Info("ready")
			return manager.Tell("READY=1")
		}})
	if err != nil {
		return naming.KernelError(cmd, fmt.Errorf("monitor the kernel's devices: %w", err))
	}
	return nil
}

// completeKernel offers the devices of the kernel's that do not stand there yet.
func completeKernel(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	names, err := kernelnode.Devices()
	if err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	return naming.Without(names, args), cobra.ShellCompDirectiveNoFileComp
}
