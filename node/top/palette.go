package top

import (
	"github.com/gdamore/tcell/v2"

	"github.com/wgnode/wgnode/probe/diagnose"
)

// palette is the styles of a screen. Without colors it has bold, dim and reverse alone.
type palette struct {
	plain, dim, bold       tcell.Style
	good, bad, warn, note  tcell.Style
	title, focused, chosen tcell.Style // of a pane, of the one that has the keys, of its row
	bar, rates             tcell.Style
}

// paletteOf is that of a terminal with so many colors. The first 16 are those that people have
// chosen for their terminal, so that text is legible on any background; more are used for
// the background of what is chosen alone.
func paletteOf(colors int) palette {
	d := tcell.StyleDefault
	p := palette{plain: d, dim: d.Dim(true), bold: d.Bold(true), good: d, bad: d.Bold(true), warn: d.Bold(true), note: d,
		title: d.Bold(true), focused: d.Bold(true).Reverse(true), chosen: d.Reverse(true), bar: d.Reverse(true), rates: d}
	if colors < 8 {
		return p
	}
	p.good, p.bad = d.Foreground(tcell.ColorGreen), d.Foreground(tcell.ColorMaroon).Bold(true)
	p.warn, p.note = d.Foreground(tcell.ColorOlive), d.Foreground(tcell.ColorTeal)
	p.rates = d.Foreground(tcell.ColorTeal)
	if colors >= 256 {
		p.dim = d.Foreground(tcell.PaletteColor(244))
		p.bar = d.Background(tcell.PaletteColor(238)).Foreground(tcell.PaletteColor(255))
		p.chosen = p.bar
	}
	return p
}

// onChosen is a style for a cell of the row that is chosen.
func (p *palette) onChosen(s tcell.Style) tcell.Style {
	fg, _, attr := s.Decompose()
	_, bg, reverse := p.chosen.Decompose()
	if reverse&tcell.AttrReverse != 0 {
		return p.chosen.Attributes(attr | tcell.AttrReverse)
	}
	if fg == tcell.ColorDefault || s == p.dim {
		return p.chosen.Attributes(attr)
	}
	return s.Background(bg)
}

// ofState is the style of a peer's state.
func (p *palette) ofState(s diagnose.State) tcell.Style {
	switch s {
	case diagnose.StateUp:
		return p.good
	case diagnose.StateFailing:
		return p.bad
	case diagnose.StateDegraded, diagnose.StateHandshaking:
		return p.warn
	}
	return p.dim
}
