package vm

import (
	"bytes"
	"debug/elf"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// libraryDirs are where Debian's packages have shared libraries.
var libraryDirs = []string{
	"usr/lib/x86_64-linux-gnu", "lib/x86_64-linux-gnu", "usr/lib64", "lib64", "usr/lib", "lib",
}

// libraries returns the files that a program needs to run, by their paths in the
// guest: shared libraries, those that they need, and the dynamic loader. They are
// looked up below root. A program that is static, or not ELF, needs none.
func libraries(root, program string) (map[string]string, error) {
	found := map[string]string{}
	todo := []string{program}
	for len(todo) > 0 {
		file := todo[0]
		todo = todo[1:]
		names, err := needed(file)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		for _, name := range names {
			guest := name
			if !filepath.IsAbs(name) {
				guest = "/usr/lib/x86_64-linux-gnu/" + name
			}
			if found[guest] != "" {
				continue
			}
			lib, err := findLibrary(root, filepath.Base(name))
			if err != nil {
				return nil, fmt.Errorf("%s: %w", file, err)
			}
			found[guest] = lib
			todo = append(todo, lib)
		}
	}
	return found, nil
}

// needed returns the names of the libraries that a file is linked with, and the
// path of its loader.
func needed(file string) (names []string, err error) {
	f, err := elf.Open(file)
	var format *elf.FormatError
	if errors.As(err, &format) || errors.Is(err, io.EOF) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if names, err = f.ImportedLibraries(); err != nil {
		return nil, err
	}
	for _, p := range f.Progs {
		if p.Type != elf.PT_INTERP {
			continue
		}
		path, err := io.ReadAll(p.Open())
		if err != nil {
			return nil, err
		}
		names = append(names, string(bytes.TrimRight(path, "\x00")))
	}
	return names, nil
}

func findLibrary(root, name string) (string, error) {
	for _, dir := range libraryDirs {
		path := filepath.Join(root, dir, name)
		if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() {
			return path, nil
		}
	}
	return "", fmt.Errorf("no %s in %s", name, root)
}
