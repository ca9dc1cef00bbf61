package idrange

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
)

// Owner is the name under which /etc/subuid and /etc/subgid may give cloister its
// region; lines of this name are no claim of others.
const Owner = "cloister"

// Subordinate returns the claims that files in the format of subuid(5) make for
// everybody but Owner. A missing file makes none.
func Subordinate(paths ...string) Claims {
	return func() ([]Range, error) {
		var all []Range
		for _, path := range paths {
			lines, err := ReadSubordinate(path)
			if err != nil {
				return nil, err
			}
			for _, l := range lines {
				if l.Owner != Owner {
					all = append(all, l.Range)
				}
			}
		}
		return all, nil
	}
}

// SubordinateLine is one line of /etc/subuid or /etc/subgid.
type SubordinateLine struct {
	Owner string
	Range
}

// ReadSubordinate reads a file in the format of subuid(5).
func ReadSubordinate(path string) ([]SubordinateLine, error) {
	f, err := os.Open(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	lines, err := parseSubordinate(f)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return lines, nil
}

// parseSubordinate reads lines owner:start:count. The tools that own the file
// skip lines that they can't read; whoever wrote such a line may still mean it,
// so here it is an error.
func parseSubordinate(r io.Reader) ([]SubordinateLine, error) {
	var out []SubordinateLine
	scanner := bufio.NewScanner(r)
	for n := 1; scanner.Scan(); n++ {
		text := strings.TrimSpace(scanner.Text())
		if text == "" || strings.HasPrefix(text, "#") {
			continue
		}
		line, err := parseSubordinateLine(text)
		if err != nil {
			return nil, fmt.Errorf("line %d: %q: %w", n, text, err)
		}
		if line.Size > 0 {
			out = append(out, line)
		}
	}
	return out, scanner.Err()
}

func parseSubordinateLine(text string) (SubordinateLine, error) {
	f := strings.Split(text, ":")
	if len(f) != 3 || f[0] == "" {
		return SubordinateLine{}, errors.New("want owner:start:count")
	}
	start, err := strconv.ParseUint(f[1], 10, 32)
	if err != nil {
		return SubordinateLine{}, err
	}
	count, err := strconv.ParseUint(f[2], 10, 33)
	if err != nil {
		return SubordinateLine{}, err
	}
	count = min(count, 1<<32-1-start) // podman's manual gives a line that ends at 2^32
	return SubordinateLine{Owner: f[0], Range: Range{uint32(start), uint32(count)}}, nil
}
