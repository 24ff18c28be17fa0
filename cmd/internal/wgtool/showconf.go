package wgtool

import (
	"bytes"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/wgnode/wgnode/cmd/internal/naming"
	"github.com/wgnode/wgnode/tunnel/uapi"
)

func NewShowconfCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "showconf NAME",
		Short: "Print a device's configuration for setconf, its secrets included",
		Long: `Prints what a userspace WireGuard device is configured to do in the format that
setconf reads, with the output, the messages and the exit status of wg(8)'s
showconf. The output holds the private key and the preshared keys.`,
		Example: "  umask 077 && wgnode showconf wg0 > wg0.wg",
		Args:    cobra.ArbitraryArgs, // wg's own answer to wrong arguments differs from cobra's
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) != 1 {
				return failLikeWg(cmd.ErrOrStderr(), "Usage: "+cmd.Root().Name()+" showconf <interface>", "")
			}
			status, errno := naming.GetStatus(naming.DeviceOf(args[0]))
			if errno != 0 {
				return failLikeWg(cmd.ErrOrStderr(), "Unable to access interface: "+strerror(errno), missingHint(args[0]))
			}
			_, err := cmd.OutOrStdout().Write(showconf(status))
			return err
		},
		ValidArgsFunction: completeDevice,
	}
}

// showconf holds secrets, as it must.
func showconf(s *uapi.Status) []byte {
	var b bytes.Buffer
	b.WriteString("[Interface]\n")
	if s.ListenPort != 0 {
		fmt.Fprintf(&b, "ListenPort = %d\n", s.ListenPort)
	}
	if s.FwMark != 0 {
		fmt.Fprintf(&b, "FwMark = %s\n", fwMark(s))
	}
	if !s.PrivateKey.IsZero() {
		fmt.Fprintf(&b, "PrivateKey = %s\n", s.PrivateKey.Base64())
	}
	b.WriteByte('\n')
	for i := range s.Peers {
		if i > 0 {
			b.WriteByte('\n')
		}
		p := &s.Peers[i]
		fmt.Fprintf(&b, "[Peer]\nPublicKey = %s\n", p.PublicKey.Base64())
		if !p.PresharedKey.IsZero() {
			fmt.Fprintf(&b, "PresharedKey = %s\n", p.PresharedKey.Base64())
		}
		if len(p.AllowedIPs) > 0 {
			fmt.Fprintf(&b, "AllowedIPs = %s\n", allowedIPs(p, ", "))
		}
		if p.Endpoint.IsValid() {
			fmt.Fprintf(&b, "Endpoint = %s\n", endpoint(p))
		}
		if p.PersistentKeepalive != 0 {
			fmt.Fprintf(&b, "PersistentKeepalive = %d\n", p.PersistentKeepalive/time.Second)
		}
	}
	return b.Bytes()
}
