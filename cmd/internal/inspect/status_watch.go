package inspect

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/wgnode/wgnode/cmd/internal/cli"
	"github.com/wgnode/wgnode/probe/eventtext"
	"github.com/wgnode/wgnode/probe/overview"
)

// follow looks again and again until ctx ends.
func (o *statusOptions) follow(ctx context.Context, cmd *cobra.Command, look func(overview.Request) *overview.Overview,
	req overview.Request) error {
	out := cmd.OutOrStdout()
	screen, _ := out.(*os.File)
	if screen != nil && (o.json || !cli.IsTerminal(screen)) {
		screen = nil
	}
	ticker := time.NewTicker(o.interval)
	defer ticker.Stop()
	p := painter{out: screen}
	for {
		if p.out != nil && !cmd.Flags().Changed("limit") {
			req.Limit = p.rows()
		}
		seen := look(req)
		if ctx.Err() != nil {
			return nil
		}
		err := o.print(cmd, &p, seen)
		if errors.Is(err, syscall.EPIPE) {
			return nil // who reads has enough
		}
		if err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
}

func (o *statusOptions) print(cmd *cobra.Command, p *painter, seen *overview.Overview) error {
	if o.json {
		line, err := json.Marshal(seen)
		if err != nil {
			return fmt.Errorf("print status: %w", err)
		}
		return writeStatus(cmd.OutOrStdout(), append(line, '\n'))
	}
	var b bytes.Buffer
	opt := statusText(cmd)
	fmt.Fprintf(&b, "%s\n", opt.Paint(nil, eventtext.Dim, seen.At.Local().Format("2006-01-02 15:04:05 MST")))
	if err := writeOverview(&b, seen, opt); err != nil {
		return err
	}
	if len(seen.Tunnels) == 0 {
		b.WriteString("there is no tunnel on this host\n")
	}
	if p.out != nil {
		return p.paint(b.Bytes())
	}
	b.WriteByte('\n')
	return writeStatus(cmd.OutOrStdout(), b.Bytes())
}

// painter repaints a block of lines in place.
type painter struct {
	out   *os.File // nil: there is no terminal
	drawn int
}

func (p *painter) height() int {
	_, height, err := term.GetSize(int(p.out.Fd()))
	if err != nil || height < 1 {
		return defaultHeight
	}
	return height
}

const defaultHeight = 24

// rows is how many peers of a tunnel there is room for, at least some.
func (p *painter) rows() int {
	const around = 9 // heading, counts, remarks
	return max(p.height()-around, 3)
}

// paint writes a block over the one before. Lines that there is no room for are left out: the
// terminal would scroll, and keep what was above.
func (p *painter) paint(block []byte) error {
	var b bytes.Buffer
	if p.drawn > 0 {
		fmt.Fprintf(&b, "\x1b[%dA", p.drawn)
	}
	b.WriteString("\r\x1b[J")
	p.drawn = 0
	for line := range bytes.Lines(block) {
		if p.drawn == p.height()-1 {
			break
		}
		b.Write(line)
		p.drawn++
	}
	return writeStatus(p.out, b.Bytes())
}
