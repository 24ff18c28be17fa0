package repair

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/wgnode/wgnode/probe/fix"
)

// commandTime is how long one command may take.
var commandTime = 30 * time.Second // shorter in tests

// Deed is one thing that was done, and what undoes it. Its JSON form is in journals.
type Deed struct {
	Step string     `json:"step"`           // as the fix said it
	Do   []string   `json:"do,omitempty"`   // the command; none if a file is edited
	Undo [][]string `json:"undo,omitempty"` // commands, in order
	File *edit      `json:"file,omitempty"`
	Rule *rule      `json:"rule,omitempty"` // that nft has added
	// Look is a command that shows what the deed is about, and After what it said when
	// the deed was done.
	Look  []string `json:"look,omitempty"`
	After string   `json:"after,omitempty"`
	Done  bool     `json:"done,omitempty"` // else it was begun, or is about to be
}

// rule is a rule of nft's, which is known by its handle once it is there.
type rule struct {
	Chain  []string `json:"chain"` // family, table, chain
	Handle string   `json:"handle,omitempty"`
}

// errForeign says that there is no way back, so that this package does not do it.
var errForeign = errors.New("how to undo it is not known")

// maker knows the way back from the commands of one program.
type maker func(ctx context.Context, args []string) (Deed, error)

var makers = map[string]maker{
	"ip":              ofIP,
	"sysctl":          ofSysctl,
	"nft":             ofNFT,
	"iptables":        ofIPTables,
	"ip6tables":       ofIPTables,
	"wg":              ofWG,
	"ufw":             ofUFW,
	"firewall-cmd":    ofFirewalld,
	"fail2ban-client": ofFail2ban,
}

// prepare finds out how to undo a step, and changes nothing. An error says why the step
// is left to the user.
func prepare(ctx context.Context, s fix.Step) (Deed, error) {
	if s.Kind == fix.KindConfig {
		return ofConfig(s)
	}
	args, err := words(s.Command)
	if err != nil {
		return Deed{}, err
	}
	make, ok := makers[args[0]]
	if !ok {
		return Deed{}, errForeign
	}
	d, err := make(ctx, args)
	if err != nil {
		return Deed{}, err
	}
	if d.Do == nil {
		d.Do = args
	}
	d.Step = s.Line()
	return d, nil
}

// do does it. What it has learned by that is in d. After an error Done says whether
// anything has changed.
func (d *Deed) do(ctx context.Context) error {
	if d.File != nil {
		err := d.File.apply(false)
		d.Done = err == nil
		return err
	}
	out, err := run(ctx, d.Do...)
	if errors.Is(err, errTime) {
		d.Done, d.Look = true, nil // it may have come as far as that
	}
	if err != nil {
		return err
	}
	d.Done = true
	if d.Rule != nil {
		return d.Rule.learn(out)
	}
	if d.Look != nil {
		if d.After, err = run(ctx, d.Look...); err != nil {
			d.Look = nil // so that undo does not compare it
			return fmt.Errorf("look what became of it: %w", err)
		}
	}
	return nil
}

// ChangedError says that what a deed was about is no longer as the deed left it. It is
// left as it is.
type ChangedError struct{ What string }

func (e *ChangedError) Error() string { return "changed since: " + e.What }

// undo takes it back. The error is a [ChangedError] if it is not there any more.
func (d *Deed) undo(ctx context.Context) error {
	switch {
	case d.File != nil:
		return d.File.apply(true)
	case d.Rule != nil && d.Rule.Handle == "":
		return &ChangedError{"whether the rule was added is not known; nft -a list chain " + strings.Join(d.Rule.Chain, " ") + " shows it"}
	case d.Rule != nil:
		return d.Rule.delete(ctx)
	}
	if d.Done && d.Look != nil {
		now, err := run(ctx, d.Look...)
		if err != nil {
			return &ChangedError{err.Error()}
		}
		if now != d.After {
			return &ChangedError{fmt.Sprintf("%s says %q, and said %q", strings.Join(d.Look, " "), oneLine(now), oneLine(d.After))}
		}
	}
	for _, command := range d.Undo {
		if _, err := run(ctx, command...); err != nil {
			return err
		}
	}
	return nil
}

// oneLine is a text of several lines as one.
func oneLine(text string) string {
	return strings.Join(strings.FieldsFunc(text, func(r rune) bool { return r == '\n' }), "; ")
}

// find is the path of a program. What logs in by ssh often lacks root's folders in its
// PATH. The wg that is asked for may be this program, which has its commands.
func find(program string) (string, error) {
	path, err := exec.LookPath(program)
	for _, folder := range []string{"/usr/local/sbin", "/usr/sbin", "/sbin"} {
		if err == nil {
			return path, nil
		}
		path, err = exec.LookPath(filepath.Join(folder, program))
	}
	switch {
	case err != nil && program == "wg":
		return os.Executable()
	case err != nil:
		return "", fmt.Errorf("%s: %w", program, exec.ErrNotFound)
	}
	return path, nil
}

// errTime: a command was ended because it took too long, and may have done what it was to do.
var errTime = errors.New("it took too long and was ended")

// run runs a command, and returns what it says.
func run(ctx context.Context, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, commandTime)
	defer cancel()
	program, err := find(args[0])
	if err != nil {
		return "", err
	}
	cmd := exec.CommandContext(ctx, program, args[1:]...)
	cmd.WaitDelay = time.Second
	var out, said strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &said
	if err := cmd.Run(); err != nil {
		if errors.Is(ctx.Err(), context.DeadlineExceeded) {
			err = errTime
		}
		if text := oneLine(strings.TrimSpace(said.String())); text != "" {
			return "", fmt.Errorf("%s: %w: %s", strings.Join(args, " "), err, text)
		}
		return "", fmt.Errorf("%s: %w", strings.Join(args, " "), err)
	}
	return out.String(), nil
}
