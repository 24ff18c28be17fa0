package cli

import (
	"errors"
	"fmt"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/wgnode/wgnode/node/config"
	"github.com/wgnode/wgnode/node/exporter"
)

// MetricsFlags are the flags that say where metrics are served, and to whom.
type MetricsFlags struct {
	At, WebConfig string
	Hosts         []string
}

// Add makes them flags of a command; usage is that of --metrics.
func (f *MetricsFlags) Add(cmd *cobra.Command, usage string) {
	cmd.Flags().StringVar(&f.At, "metrics", "", usage)
	cmd.Flags().StringArrayVar(&f.Hosts, "metrics-host", nil,
		"answer at --metrics also as `NAME`, for a proxy that keeps its own name in requests")
	cmd.Flags().StringVar(&f.WebConfig, "metrics-web-config", "",
		"`FILE` with certificates and users for --metrics, as exporters have it; ADDR can then be any address")
}

// Needed has the flags that go with --metrics not stand without it.
func (f *MetricsFlags) Needed(cmd *cobra.Command) error {
	switch {
	case f.At != "":
	case len(f.Hosts) > 0:
		return NewUsageError(cmd, errors.New("--metrics-host needs --metrics"))
	case f.WebConfig != "":
		return NewUsageError(cmd, errors.New("--metrics-web-config needs --metrics"))
	}
	return nil
}

// Place reads them.
func (f *MetricsFlags) Place(cmd *cobra.Command) (p exporter.Place, err error) {
	if f.WebConfig != "" {
		if p.WebConfig, err = filepath.Abs(f.WebConfig); err != nil {
			return p, NewUsageError(cmd, fmt.Errorf("--metrics-web-config: %w", err))
		}
	}
	p.Listen, err = metricsAt(cmd, f.At, f.WebConfig != "", f.Hosts)
	return p, err
}

// metricsAt reads --metrics and --metrics-host.
func metricsAt(cmd *cobra.Command, addr string, guarded bool, hosts []string) (at config.Listen, err error) {
	for i, host := range hosts {
		if hosts[i], err = config.ParseHost(host); err != nil {
			return at, NewUsageError(cmd, fmt.Errorf("--metrics-host: %w", err))
		}
	}
	if addr == "" {
		return at, nil
	}
	parse := config.ParseListen
	if guarded {
		parse = config.ParseListenAnywhere
	}
	if at, err = parse(addr); err != nil {
		return at, NewUsageError(cmd, fmt.Errorf("--metrics: %w", err))
	}
	return at, nil
}

// CompleteFile leaves it to the shell.
func CompleteFile(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	return nil, cobra.ShellCompDirectiveDefault
}
