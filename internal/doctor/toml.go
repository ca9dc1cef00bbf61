package doctor

import (
	"iter"
	"maps"
	"path/filepath"
	"slices"
	"strings"
)

// tomlFile holds what the checks need of configuration files in TOML: by the
// dotted name of each key, the strings of its value, or the one bare word.
type tomlFile map[string][]string

// first returns the first string of a key's value, or "".
func (f tomlFile) first(key string) string {
	if all := f[key]; len(all) > 0 {
		return all[0]
	}
	return ""
}

// sorted yields all keys in their order.
func (f tomlFile) sorted() iter.Seq2[string, []string] {
	return func(yield func(string, []string) bool) {
		for _, key := range slices.Sorted(maps.Keys(f)) {
			if !yield(key, f[key]) {
				return
			}
		}
	}
}

// readTOML reads files, given by patterns, each over those before. Missing ones are
// skipped.
func (h *Host) readTOML(patterns ...string) (tomlFile, error) {
	out := tomlFile{}
	for _, pattern := range patterns {
		paths, err := filepath.Glob(h.Root.Path(pattern))
		if err != nil {
			return nil, err
		}
		for _, path := range paths {
			data, err := h.read(filepath.Join(filepath.Dir(pattern), filepath.Base(path)))
			if err != nil {
				return nil, err
			}
			out.parse(string(data))
		}
	}
	return out, nil
}

// parse understands tables, keys, strings on one line and arrays on several.
// Whatever else TOML has, no engine's configuration of a runtime needs.
func (f tomlFile) parse(text string) {
	table, key, open := "", "", 0
	for line := range strings.Lines(text) {
		left, right, isPair, strs, depth := scanTOML(line)
		switch {
		case open > 0: // an array goes on
			f[key] = append(f[key], strs...)
			open += depth
		case isPair:
			key, open = table+left, depth
			f[key] = strs
			if right != "" && len(strs) == 0 {
				f[key] = []string{right}
			}
		case strings.HasPrefix(left, "["):
			table = strings.Trim(left, "[]") + "."
		}
	}
}

// scanTOML takes a line apart: what is left and right of the first equals sign,
// without quotes, blanks and a comment; the strings on the right, or in the whole
// line if there is no such sign; and how many brackets remain open there.
func scanTOML(line string) (left, right string, isPair bool, strs []string, depth int) {
	var text [2]strings.Builder
	side, quote, start := 0, byte(0), 0
	for i := 0; i < len(line); i++ {
		c := line[i]
		switch {
		case quote != 0 && c == quote:
			strs = append(strs, line[start:i])
			quote = 0
			continue
		case quote == '"' && c == '\\':
			i++
			continue
		case quote != 0:
		case c == '"' || c == '\'':
			quote, start = c, i+1
			continue
		case c == '#':
			i = len(line)
			continue
		case c == '=' && side == 0:
			side, isPair, strs, depth = 1, true, nil, 0
			continue
		case c == '[':
			depth++
		case c == ']':
			depth--
		}
		text[side].WriteByte(c)
	}
	return strings.TrimSpace(text[0].String()), strings.TrimSpace(text[1].String()), isPair, strs, depth
}
