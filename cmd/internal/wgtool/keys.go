package wgtool

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"github.com/wgnode/wgnode/cmd/internal/cli"
	"github.com/wgnode/wgnode/probe/key"
)

// genkey, genpsk and pubkey do what wg(8)'s commands of these names do, with
// its output, words and exit status, so that scripts can call either program.

func NewGenkeyCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "genkey",
		Short:   "Print a new private key",
		Example: "  umask 077 && wgnode genkey | tee private | wgnode pubkey > public",
		Args:    wgUsage("genkey"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return printSecret(cmd, key.GeneratePrivate().Base64())
		},
	}
}

func NewGenpskCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "genpsk",
		Short: "Print a new preshared key",
		Args:  wgUsage("genpsk"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return printSecret(cmd, key.GeneratePreshared().Base64())
		},
	}
}

func NewPubkeyCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "pubkey",
		Short:   "Read a private key from standard input and print its public key",
		Example: "  wgnode pubkey < private > public",
		Args:    wgUsage("pubkey"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			private, err := readPrivate(cmd.InOrStdin())
			if err != nil {
				return err
			}
			_, err = fmt.Fprintln(cmd.OutOrStdout(), private.Public())
			return err
		},
	}
}

// wgUsage accepts no arguments, and answers any as wg does: with a line of
// usage and status 1.
func wgUsage(name string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) == 0 {
			return nil
		}
		if _, err := fmt.Fprintf(cmd.ErrOrStderr(), "Usage: %s %s\n", cmd.Root().Name(), name); err != nil {
			return err
		}
		return cli.ExitStatus(cli.StatusFailed)
	}
}

func printSecret(cmd *cobra.Command, secret string) error {
	out := cmd.OutOrStdout()
	if f, ok := out.(*os.File); ok && cli.WorldAccessible(f) {
		// The key is printed all the same, so a lost warning is no failure.
		_, _ = io.WriteString(cmd.ErrOrStderr(), "Warning: writing to world accessible file.\n"+
			"Consider setting the umask to 077 and trying again.\n")
	}
	_, err := fmt.Fprintln(out, secret)
	return err
}

// The words are wg's, capital letters included.
var (
	//lint:ignore ST1005 see above
	errKeyFormat = errors.New("Key is not the correct length or format")
	//lint:ignore ST1005 see above
	errKeyTrailing = errors.New("Trailing characters found after key")
)

// readPrivate reads one key. White space and zero bytes may follow it, as with
// wg, but nothing may stand before it.
func readPrivate(r io.Reader) (key.Private, error) {
	in := bufio.NewReader(r)
	text := make([]byte, 44) // 32 bytes in base64
	if _, err := io.ReadFull(in, text); err == io.EOF || err == io.ErrUnexpectedEOF {
		return key.Private{}, errKeyFormat
	} else if err != nil {
		return key.Private{}, fmt.Errorf("read private key: %w", err)
	}
	for {
		switch c, err := in.ReadByte(); {
		case err == io.EOF:
			private, err := key.ParsePrivate(string(text))
			if err != nil {
				return key.Private{}, errKeyFormat
			}
			return private, nil
		case err != nil:
			return key.Private{}, fmt.Errorf("read private key: %w", err)
		case c != 0 && c != ' ' && (c < '\t' || c > '\r'):
			return key.Private{}, errKeyTrailing
		}
	}
}
