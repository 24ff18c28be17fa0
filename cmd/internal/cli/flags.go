package cli

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/wgnode/wgnode/node/config"
)

// MetricsAt reads --metrics and --metrics-host.
func MetricsAt(cmd *cobra.Command, addr string, hosts []string) (at config.Listen, err error) {
	for i, host := range hosts {
		if hosts[i], err = config.ParseHost(host); err != nil {
			return at, NewUsageError(cmd, fmt.Errorf("--metrics-host: %w", err))
		}
	}
	if addr == "" {
		return at, nil
	}
	if at, err = config.ParseListen(addr); err != nil {
		return at, NewUsageError(cmd, fmt.Errorf("--metrics: %w", err))
	}
	return at, nil
}

// CompleteFile leaves it to the shell.
func CompleteFile(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	return nil, cobra.ShellCompDirectiveDefault
}
