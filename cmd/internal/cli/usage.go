package cli

import (
	"cmp"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/wgnode/wgnode/node/config"
)

// What is wrong with a command line is said here, in our own words: those of
// cobra, pflag and strconv name types of Go, and not what to type.

// usageError says that the command line is wrong: exit status 2.
type usageError struct{ err error }

func (e *usageError) Error() string { return e.err.Error() }
func (e *usageError) Unwrap() error { return e.err }

// StatusIsVerdict marks, among the annotations of a command, one whose exit
// status 2 says that a fault was found. Wrong usage of it ends with 1: a script
// that watches a tunnel must not take its own slip for the tunnel's.
const StatusIsVerdict = "status-is-verdict"

// NewUsageError is err as one of wrong usage of cmd, with the hint where its usage is shown.
func NewUsageError(cmd *cobra.Command, err error) error {
	if _, ok := errors.AsType[*net.DNSError](err); ok {
		return err // a name that does not resolve is not wrong usage
	}
	err = WithHint(err, fmt.Sprintf("`%s --help` shows the usage", cmd.CommandPath()))
	if cmd.Annotations[StatusIsVerdict] != "" {
		return err
	}
	return &usageError{err}
}

// StrictUsage makes every wrong use of cmd and the commands below it a
// usageError, and lets no command accept what it ignores: cobra on its own prints
// the help and reports success for `completion nope`. A command without Args has
// the arguments that its Use names.
func StrictUsage(cmd *cobra.Command) {
	cmd.SetFlagErrorFunc(func(c *cobra.Command, err error) error { return NewUsageError(c, flagError(c, err)) })
	check := cmd.Args
	switch {
	case cmd.Name() == "help":
		check = helpTopic
	case !cmd.Runnable():
		cmd.RunE = func(c *cobra.Command, _ []string) error { return c.Help() }
		check = UnknownCommand
	case check == nil || cmd.HasParent() && cmd.Parent().Name() == "completion":
		check = ArgsOfUse
	}
	cmd.Args = func(c *cobra.Command, args []string) error {
		err := cmp.Or(emptyFlag(c), senselessTime(c))
		if err == nil {
			err = check(c, args)
		}
		var status ExitStatus
		if err == nil || errors.As(err, &status) {
			return err
		}
		return NewUsageError(c, err)
	}
	for _, sub := range cmd.Commands() {
		StrictUsage(sub)
	}
}

// emptyFlag refuses the empty text as the value of a flag. It comes from an empty
// variable of a script, and would mean as much as no flag: `explain --with "$HUB"`
// would hear this host alone, and `--from "$LAN"` everyone.
func emptyFlag(cmd *cobra.Command) (err error) {
	cmd.Flags().Visit(func(f *pflag.Flag) {
		if err == nil && f.Value.Type() == "string" && f.Value.String() == "" {
			what, _ := pflag.UnquoteUsage(f)
			err = fmt.Errorf("--%s: missing value: want %s", f.Name, what)
		}
	})
	return err
}

// ZeroTime marks, among the annotations of a flag, that no time at all makes sense, too.
const ZeroTime = "zero-time"

// senselessTime refuses times that no command can wait or look back for.
func senselessTime(cmd *cobra.Command) (err error) {
	cmd.Flags().Visit(func(f *pflag.Flag) {
		d, perr := time.ParseDuration(f.Value.String())
		if err != nil || f.Value.Type() != "duration" || perr != nil || d > 0 || d == 0 && f.Annotations[ZeroTime] != nil {
			return
		}
		err = fmt.Errorf("--%s %s: want a time above zero, such as 10s or 2m", f.Name, f.Value)
	})
	return err
}

// UnknownCommand takes no arguments: what stands where a command of the group
// cmd should be is none of them.
func UnknownCommand(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	err := fmt.Errorf("unknown command %q", args[0])
	if like := cmd.SuggestionsFor(args[0]); len(like) > 0 {
		return WithHint(err, fmt.Sprintf("did you mean `%s %s`?", cmd.CommandPath(), like[0]))
	}
	return err
}

// helpTopic takes the path of a command, for `wgnode help PATH...`, the code of a
// verdict, or the topic that lists them.
func helpTopic(help *cobra.Command, args []string) error {
	if len(args) == 1 {
		if _, ok := KnownCode(args[0]); ok || args[0] == VerdictsTopic {
			return nil
		}
	}
	topic, rest, err := help.Root().Find(args)
	if err != nil {
		return err
	}
	if err := UnknownCommand(topic, rest); err == nil || topic.HasParent() || len(topic.SuggestionsFor(rest[0])) > 0 {
		return err
	}
	err = fmt.Errorf("unknown command or verdict %q", rest[0])
	if hint := LikeCode(rest[0], help.CommandPath()); hint != "" {
		return WithHint(err, hint)
	}
	return err
}

// ArgsOfUse takes the arguments that the command's Use names: those in brackets
// may be left out, the last one may repeat if dots follow it.
func ArgsOfUse(cmd *cobra.Command, args []string) error {
	needed, most := usageWords(cmd.Use)
	usage := "usage: " + strings.TrimSuffix(cmd.CommandPath(), cmd.Name()) + cmd.Use
	switch {
	case len(args) < len(needed):
		return fmt.Errorf("missing %s; %s", needed[len(args)], usage)
	case most >= 0 && len(args) > most:
		return fmt.Errorf("unexpected argument %q; %s", args[most], usage)
	}
	return nil
}

// usageWords reads "explain [NAME] DEST[:PORT]": what must be given, and how many
// arguments there may be, -1 for any number.
func usageWords(use string) (needed []string, most int) {
	words := strings.Fields(use)[1:]
	most = len(words)
	for _, w := range words {
		if strings.HasSuffix(w, "...") {
			most = -1
		}
		if strings.HasPrefix(w, "[") {
			continue
		}
		w, _, _ = strings.Cut(strings.TrimSuffix(w, "..."), "[")
		needed = append(needed, strings.ReplaceAll(w, "|", " or "))
	}
	return needed, most
}

// flagError words what is wrong with a flag.
func flagError(cmd *cobra.Command, err error) error {
	if e, ok := errors.AsType[*pflag.NotExistError](err); ok {
		return unknownFlag(cmd, e)
	}
	if e, ok := errors.AsType[*pflag.ValueRequiredError](err); ok {
		flag := e.GetFlag()
		value, _ := pflag.UnquoteUsage(flag)
		if want := wanted(flag.Value.Type()); want != "" {
			value = want
		}
		name := "--" + flag.Name
		if e.GetSpecifiedShortnames() != "" {
			name = "-" + e.GetSpecifiedName()
		}
		return fmt.Errorf("%s: missing value: want %s", name, value)
	}
	if e, ok := errors.AsType[*pflag.InvalidValueError](err); ok {
		return badValue(e.GetFlag(), e.GetValue())
	}
	if e, ok := errors.AsType[*pflag.InvalidSyntaxError](err); ok {
		return fmt.Errorf("%s is not a flag", e.GetSpecifiedFlag())
	}
	return err
}

func unknownFlag(cmd *cobra.Command, e *pflag.NotExistError) error {
	if short := e.GetSpecifiedShortnames(); short != "" {
		return fmt.Errorf("unknown flag -%s", e.GetSpecifiedName())
	}
	err := fmt.Errorf("unknown flag --%s", e.GetSpecifiedName())
	var known []string
	cmd.Flags().VisitAll(func(f *pflag.Flag) {
		if !f.Hidden {
			known = append(known, f.Name)
		}
	})
	if near := config.Nearest(e.GetSpecifiedName(), known); near != "" {
		return WithHint(err, "did you mean --"+near+"?")
	}
	return err
}

// badValue is the error for a value that the flag's type does not allow.
func badValue(flag *pflag.Flag, value string) error {
	if flag.Value.Type() == "duration" && value != "" && strings.Trim(value, "0123456789.") == "" {
		return fmt.Errorf("--%s %s: add a unit, such as 10s or 2m", flag.Name, value)
	}
	between := " "
	if flag.NoOptDefVal != "" { // the value is in the same word
		between = "="
	}
	return fmt.Errorf("--%s%s%s: want %s", flag.Name, between, value, wanted(flag.Value.Type()))
}

// wanted says what a type of flag takes, "" where the flag's own usage does.
func wanted(kind string) string {
	switch kind {
	case "duration":
		return "a time, such as 10s or 2m"
	case "seconds":
		return "seconds, such as 0.5, or a time, such as 200ms"
	case "int", "uint", "uint64":
		return "a number, such as 100"
	case "bool":
		return "true or false"
	}
	return ""
}
