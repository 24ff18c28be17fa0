// Package picture has what all drawings in SVG need: text that fits, and a style that
// follows the reader's choice of light or dark.
package picture

import (
	"strings"
	"unicode/utf8"
)

// Clip shortens text to n characters, at least one.
func Clip(s string, n int) string {
	if utf8.RuneCountInString(s) <= n {
		return s
	}
	return string([]rune(s)[:max(n, 1)-1]) + "…"
}

// Style is the style element: shapes are the lines that have no colour, colours those
// that name some, and light and dark say what the names stand for, in pairs of name
// and colour. Variables of CSS would do the same, but programs that are no browser know
// none, and draw in black.
func Style(shapes, colours string, light, dark []string) string {
	return "<style>\n" + shapes + strings.NewReplacer(light...).Replace(colours) +
		"@media (prefers-color-scheme: dark) {\n" + strings.NewReplacer(dark...).Replace(colours) + "}\n</style>\n"
}
