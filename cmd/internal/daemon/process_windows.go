package daemon

import (
	"errors"
	"os"

	"github.com/wgnode/wgnode/cmd/internal/cli"
)

// keepSecrets has nothing to do: what an error report holds is for the administrator.
func keepSecrets() error { return nil }

// HideMemory has nothing to do, as keepSecrets.
func HideMemory() error { return nil }

var errBackground = errors.New("no process can stay in the background on Windows")

// canDetach reports why no process can stay in the background.
func canDetach() error {
	return cli.WithHint(errBackground, "in the foreground: wgnode run CONF")
}

func closeOnExec(int) {}

func beginSession() error { return errBackground }

// standFor is never asked: beginSession is.
func standFor(*os.File, int) error { return errBackground }
