package cgroupview

import "strings"

// Below reports whether the cgroup child is parent itself or lies below it, in
// every hierarchy that the layout reads controllers in. A cgroup that one of them
// does not show lies below none.
func (l *Layout) Below(parent, child Paths) bool {
	below := false
	for _, c := range controllers {
		h, outer := l.find(c.v1, parent)
		if h == nil {
			continue
		}
		_, inner := l.find(c.v1, child)
		if below = h.below(outer, inner); !below {
			return false
		}
	}
	return below
}

func (h *hierarchy) below(parent, child string) bool {
	outer, err := h.locate(parent)
	if err != nil {
		return false
	}
	inner, err := h.locate(child)
	if err != nil {
		return false
	}
	return outer == "." || inner == outer || strings.HasPrefix(inner, outer+"/")
}
