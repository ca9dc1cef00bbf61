// Command chart draws the figures of `cloister bench read --json`: for each file, how
// long a read takes on one CPU, by opening the file and from one that is kept open.
//
//	chart read.json read.svg (or read.png)
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"image/color"
	"os"
	"path/filepath"
	"strings"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	_ "gonum.org/v1/plot/vg/vgimg" // png
	_ "gonum.org/v1/plot/vg/vgsvg" // svg

	"cloister/bench/read"
)

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: chart read.json read.svg")
		os.Exit(2)
	}
	if err := run(os.Args[1], os.Args[2]); err != nil {
		fmt.Fprintln(os.Stderr, "bench/chart:", err)
		os.Exit(1)
	}
}

func run(from, to string) error {
	text, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	r := &read.Result{}
	if err := json.Unmarshal(text, r); err != nil {
		return fmt.Errorf("%s: %w", from, err)
	}
	c, err := chart(r, strings.TrimPrefix(filepath.Ext(to), "."))
	if err != nil {
		return err
	}
	f, err := os.Create(to)
	if err != nil {
		return err
	}
	_, err = c.WriteTo(f)
	return errors.Join(err, f.Close())
}

// The size of the picture.
const (
	width  = 26 * vg.Centimeter
	height = 12 * vg.Centimeter
)

// chart draws the two panels, which share the axis of the files.
func chart(r *read.Result, format string) (vg.CanvasWriterTo, error) {
	open, err := panel(r, read.Open, "open, read to the end, close")
	if err != nil {
		return nil, err
	}
	pread, err := panel(r, read.Pread, "pread of a file that is kept open")
	if err != nil {
		return nil, err
	}
	c, err := draw.NewFormattedCanvas(width, height, format)
	if err != nil {
		return nil, err
	}
	tiles := draw.Tiles{Rows: 1, Cols: 2, PadX: 8 * vg.Millimeter, PadTop: 14 * vg.Millimeter, PadBottom: 3 * vg.Millimeter, PadLeft: 3 * vg.Millimeter, PadRight: 3 * vg.Millimeter}
	plots := []*plot.Plot{open, pread}
	for i, canvas := range plot.Align([][]*plot.Plot{plots}, tiles, draw.New(c))[0] {
		plots[i].Draw(canvas)
	}
	head(draw.New(c), r)
	return c, nil
}

// head writes above the panels which dot is whose, and what was measured.
func head(c draw.Canvas, r *read.Result) {
	style := draw.TextStyle{Color: color.Black, Font: font.From(plot.DefaultFont, 12), Handler: plot.DefaultTextHandler, YAlign: draw.YCenter}
	style.Font.Variant = "Sans"
	at := vg.Point{X: c.Min.X + 8*vg.Millimeter, Y: c.Max.Y - 6*vg.Millimeter}
	for _, s := range all {
		c.DrawGlyph(s.glyph(), at)
		at.X += 3 * vg.Millimeter
		c.FillText(style, at, s.name)
		at.X += style.Width(s.name) + 8*vg.Millimeter
	}
	style.XAlign, style.Color, style.Font.Size = draw.XRight, color.Gray{0x60}, 10
	c.FillText(style, vg.Point{X: c.Max.X - 5*vg.Millimeter, Y: at.Y},
		fmt.Sprintf("a read on one CPU, median of %d rounds · Linux %s, %s", r.Rounds, r.Kernel, r.CPU))
}
