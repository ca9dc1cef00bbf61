package main

import (
	"fmt"
	"image/color"
	"strings"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/text"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"

	"cloister/bench/read"
)

// series is one of those that are compared.
type series struct {
	name  string
	color color.Color
	of    func(*read.Measured) *read.Figures
}

// The colours can be told apart by everybody (Okabe and Ito).
var all = []series{
	{"the kernel's own", color.Gray{0x70}, func(m *read.Measured) *read.Figures { return &m.Kernel }},
	{"cloister", color.RGBA{0x00, 0x72, 0xb2, 0xff}, func(m *read.Measured) *read.Figures { return &m.Cloister }},
	{"lxcfs", color.RGBA{0xd5, 0x5e, 0x00, 0xff}, func(m *read.Measured) *read.Figures { return m.LXCFS }},
}

// The axis of both panels, in µs, which goes on where a read takes longer.
const (
	axisMin = 0.1
	axisMax = 1000
)

var (
	gridColor = color.Gray{0xe4}
	dot       = vg.Points(4)
)

// panel shows the files from top to bottom, and a time for each of the series.
func panel(r *read.Result, op read.Op, title string) (*plot.Plot, error) {
	p := plot.New()
	p.Title.Text = title
	p.Title.Padding = vg.Points(8)
	p.X.Label.Text = "µs"
	p.X.Scale = plot.LogScale{}
	p.X.Tick.Marker = logTicks{}
	grid := plotter.NewGrid()
	grid.Vertical.Color, grid.Horizontal.Color = gridColor, gridColor
	p.Add(grid)

	rows := selected(r, op)
	if len(rows) == 0 {
		return nil, fmt.Errorf("there is no %s on the same CPU among the figures", op)
	}
	names := make([]string, len(rows))
	for i, m := range rows {
		names[i] = strings.TrimPrefix(strings.TrimPrefix(m.Files[0], "/proc/"), "/sys/devices/system/")
	}
	p.NominalY(names...)
	for _, s := range all {
		if err := s.add(p, rows); err != nil {
			return nil, err
		}
	}
	if err := addRatios(p, rows); err != nil {
		return nil, err
	}
	p.X.Min, p.X.Max = axisMin, max(axisMax, p.X.Max*1.5)
	for _, style := range []*text.Style{&p.Title.TextStyle, &p.X.Label.TextStyle, &p.X.Tick.Label, &p.Y.Tick.Label} {
		style.Font.Variant = "Sans"
	}
	p.Y.Min, p.Y.Max = -0.6, float64(len(rows))-0.4
	return p, nil
}

// selected returns what a panel shows, the first file last: it is to be at the top.
func selected(r *read.Result, op read.Op) []*read.Measured {
	var rows []*read.Measured
	for i := range r.Cases {
		if m := &r.Cases[i]; m.Op == op && m.Placement == read.Pinned && len(m.Files) == 1 {
			rows = append([]*read.Measured{m}, rows...)
		}
	}
	return rows
}

// add draws the dots of a series.
func (s series) add(p *plot.Plot, rows []*read.Measured) error {
	var points plotter.XYs
	for i, m := range rows {
		if f := s.of(m); f != nil {
			points = append(points, plotter.XY{X: f.P50, Y: float64(i)})
		}
	}
	if len(points) == 0 {
		return nil
	}
	dots, err := plotter.NewScatter(points)
	if err != nil {
		return err
	}
	dots.GlyphStyle = s.glyph()
	p.Add(dots)
	return nil
}

func (s series) glyph() draw.GlyphStyle {
	return draw.GlyphStyle{Color: s.color, Radius: dot, Shape: draw.CircleGlyph{}}
}

// addRatios writes over cloister's dots how many times as long as the kernel it takes.
func addRatios(p *plot.Plot, rows []*read.Measured) error {
	var at plotter.XYLabels
	for i, m := range rows {
		at.XYs = append(at.XYs, plotter.XY{X: m.Cloister.P50, Y: float64(i)})
		at.Labels = append(at.Labels, fmt.Sprintf("%.2g×", m.Cloister.ToKernel.Median))
	}
	labels, err := plotter.NewLabels(at)
	if err != nil {
		return err
	}
	labels.Offset = vg.Point{X: -vg.Points(7), Y: vg.Points(6)}
	for i := range labels.TextStyle {
		labels.TextStyle[i].Color = all[1].color
		labels.TextStyle[i].Font.Variant = "Sans"
	}
	p.Add(labels)
	return nil
}

// logTicks marks the decades and what is between them. (Those of package plot begin at 1.)
type logTicks struct{}

// Ticks returns the marks.
func (logTicks) Ticks(low, high float64) []plot.Tick {
	var ticks []plot.Tick
	for decade := axisMin; decade <= high; decade *= 10 {
		for i := range 9 {
			t := plot.Tick{Value: decade * float64(i+1)}
			if i == 0 {
				t.Label = fmt.Sprintf("%.4g", decade)
			}
			ticks = append(ticks, t)
		}
	}
	return ticks
}
