package cli

import (
	"io/fs"
	"os"
	"strings"

	"github.com/wgnode/wgnode/node/config"
	"github.com/wgnode/wgnode/node/plan"
	"github.com/wgnode/wgnode/node/rundir"
	"github.com/wgnode/wgnode/node/safefile"
)

// mend says what to do about a file of wgnode's own or one that others can change, if
// err is about one.
func mend(err error) []string {
	switch e := err.(type) {
	case *safefile.Untrusted:
		return mendTrust(e)
	case *plan.JournalError:
		if e.Version != 0 {
			return []string{"the wgnode that brought the tunnel up can take it down"}
		}
		return []string{"its file is lost: rm " + config.ShellQuote(e.Path) + ", then `wgnode recover`; " +
			"ip rule, nft list tables and /etc/resolv.conf show whether anything else is left"}
	case *fs.PathError:
		if e.Op == "mkdir" && strings.HasPrefix(rundir.Default(), e.Path) {
			return []string{"sockets are kept there: set XDG_RUNTIME_DIR to a folder that this user can write to; in a " +
				"container mount one, as --tmpfs /run does"}
		}
	}
	return nil
}

func mendTrust(doubt *safefile.Untrusted) []string {
	path := config.ShellQuote(doubt.Path)
	switch run := rundir.Default(); {
	case run == doubt.Path || strings.HasPrefix(run, doubt.Path+"/"):
		return []string{"journals and sockets are there: set XDG_RUNTIME_DIR to a folder that is this user's alone"}
	case doubt.Why == safefile.Linked:
		return []string{"a copy will do: cp " + path + " " + config.Dir + "/"}
	case doubt.Why == safefile.Foreign && doubt.Dir:
		return []string{"a copy in a folder of root's will do: cp " + config.ShellQuote(doubt.File) + " " + config.Dir + "/"}
	case doubt.Why == safefile.Foreign && doubt.Link:
		return []string{"give the path that it leads to, " + config.ShellQuote(readlink(doubt.Path)) + ", if that is meant"}
	case doubt.Why == safefile.Foreign:
		return []string{"if what is in it is right: " + doubt.Mend() + " " + path}
	}
	return []string{doubt.Mend() + " " + path}
}

func readlink(path string) string {
	target, err := os.Readlink(path)
	if err != nil {
		return path
	}
	return target
}
