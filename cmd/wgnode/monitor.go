package main

import (
	"context"
	"fmt"
	"log/slog"
	"slices"

	"github.com/spf13/cobra"

	"github.com/wgnode/wgnode/node"
	"github.com/wgnode/wgnode/node/config"
)

// monitorFlags are the flags of monitor.
type monitorFlags struct {
	memory       uint // MiB of each flight recorder
	metrics      string
	metricsHosts []string
	log          logFlags
}

func newMonitorCommand() *cobra.Command {
	var f monitorFlags
	cmd := &cobra.Command{
		Use:   "monitor [NAME]...",
		Short: "Keep the flight recorder of the kernel's WireGuard devices",
		Long: `Monitor looks at WireGuard devices of the kernel's, in the foreground until
SIGTERM or SIGINT ends it, and keeps the latest packets of each in memory, as a
node does of its own. "watch --past", "record", "explain" and "doctor" then know
what passed before they began: they ask the monitor where one runs. Without
NAME it looks at all devices that are up, also at those that come later.

It changes nothing about the devices, keeps none of their secrets, and sends
nothing. For each device it takes --memory, where 16 MiB hold the latest 60,000
packets or so. What it costs in processor time grows with the packets that pass,
so it is for hosts that somebody wants to understand, and off unless started.

It takes root, or CAP_NET_ADMIN, CAP_NET_RAW, CAP_BPF, CAP_PERFMON and
CAP_SYS_ADMIN. With fewer it sees less, and says so; kernel.md among the
documentation says what is seen. A unit for systemd is installed and not enabled:
systemctl enable --now wgnode-monitor`,
		Example: `  wgnode monitor
  wgnode monitor wg0 --memory 64 --metrics 127.0.0.1:9587`,
		RunE:              func(cmd *cobra.Command, args []string) error { return runMonitor(cmd, args, &f) },
		ValidArgsFunction: completeKernel,
	}
	cmd.Flags().UintVar(&f.memory, "memory", 16, "`MIB` of memory for the packets of each device")
	cmd.Flags().StringVar(&f.metrics, "metrics", "", "serve /metrics at `ADDR`: 127.0.0.1:PORT, [::1]:PORT or unix:/PATH")
	cmd.Flags().StringArrayVar(&f.metricsHosts, "metrics-host", nil,
		"answer at --metrics also as `NAME`, for a proxy that passes its own name on")
	f.log.add(cmd)
	return cmd
}

func runMonitor(cmd *cobra.Command, names []string, f *monitorFlags) error {
	if f.memory < 1 || f.memory > maxRecorder {
		return newUsageError(cmd, fmt.Errorf("--memory %d: want 1 to %d MiB", f.memory, maxRecorder))
	}
	if f.metrics == "" && len(f.metricsHosts) > 0 {
		return newUsageError(cmd, fmt.Errorf("--metrics-host needs --metrics"))
	}
	for _, name := range names {
		if !config.ValidName(name) {
			return newUsageError(cmd, fmt.Errorf("%q: want the name of an interface", name))
		}
	}
	metrics, err := metricsAt(cmd, f.metrics, f.metricsHosts)
	if err != nil {
		return err
	}
	if err := prepareProcess(); err != nil {
		return err
	}
	handler, err := f.log.open(cmd, false)
	if err != nil {
		return err
	}
	ctx, stop := interrupted(cmd.Context())
	defer stop()
	manager := takeNotifier()
	log := slog.New(handler)
	stopping := context.AfterFunc(ctx, func() {
		if err := manager.tell("STOPPING=1"); err != nil {
			log.Error("cannot report the end to the service manager", "error", err)
		}
	})
	defer stopping()
	err = node.MonitorKernel(ctx, node.MonitorOptions{
		KernelOptions: node.KernelOptions{Sender: passSocket, RecorderBytes: int(f.memory) << 20, Logger: log},
		Names:         names, Metrics: metrics, MetricsHosts: f.metricsHosts,
		Ready: func() error {
			log.Info("ready")
			return manager.tell("READY=1")
		}})
	if err != nil {
		return kernelError(cmd, fmt.Errorf("monitor the kernel's devices: %w", err))
	}
	return nil
}

// completeKernel offers the devices of the kernel's that do not stand there yet.
func completeKernel(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	names, err := node.KernelDevices()
	if err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	return without(names, args), cobra.ShellCompDirectiveNoFileComp
}

// without is names less those of left.
func without(names, left []string) (rest []string) {
	for _, name := range names {
		if !slices.Contains(left, name) {
			rest = append(rest, name)
		}
	}
	return rest
}
