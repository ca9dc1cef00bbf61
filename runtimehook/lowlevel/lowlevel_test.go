package lowlevel

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
)

func TestSearch(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("PATH", dir)
	crun := program(t, dir, "crun")
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(self, filepath.Join(dir, "runc")); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name  string
		names []string
		want  string
	}{
		{"the first one is this program under another name", []string{"runc", "crun"}, crun},
		{"by path", []string{crun}, crun},
		{"the first is not installed", []string{"youki", "crun"}, crun},
		{"only this program", []string{"runc"}, ""},
		{"none", nil, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := Search(tt.names)
			if got != tt.want || (tt.want == "") != errors.Is(err, ErrNone) {
				t.Errorf("got %q, %v, want %q", got, err, tt.want)
			}
		})
	}
}

func TestFind(t *testing.T) {
	dir, runDir := t.TempDir(), t.TempDir()
	t.Setenv("PATH", dir)
	runc, crun := program(t, dir, "runc"), program(t, dir, "crun")
	check := func(given, want string) {
		t.Helper()
		if got, err := Find(given, runDir); err != nil || got != want {
			t.Errorf("Find(%q): got %q, %v, want %q", given, got, err, want)
		}
	}
	check("", runc) // no daemon has been here
	for range 2 {   // a restarted daemon replaces the link
		if err := Publish(runDir, crun); err != nil {
			t.Fatal(err)
		}
	}
	check("", crun)
	check("runc", runc)
	if err := os.Remove(crun); err != nil {
		t.Fatal(err)
	}
	if got, err := Find("", runDir); err == nil {
		t.Errorf("the daemon's runtime is gone and %q was taken instead", got)
	}
}

func TestFindFor(t *testing.T) {
	dir, runDir, root := t.TempDir(), t.TempDir(), t.TempDir()
	t.Setenv("PATH", dir)
	runc, crun := program(t, dir, "runc"), program(t, dir, "crun")
	for _, file := range []string{"of-runc/state.json", "of-crun/status", "of-nobody/other"} {
		path := filepath.Join(root, file)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	tests := []struct {
		args  []string
		given string
		want  string
	}{
		{[]string{"delete", "--force", "of-runc"}, "", runc},
		{[]string{"delete", "--force", "of-crun"}, "", crun},
		{[]string{"delete", "of-runc"}, crun, runc},
		{[]string{"delete", "of-crun"}, crun, crun},
		{[]string{"delete", "of-nobody"}, "", runc},
		{[]string{"delete", "of-nobody"}, crun, crun},
		{[]string{"delete", "../x/of-crun", ""}, "", runc},
		{nil, "", runc},
	}
	for _, tt := range tests {
		if got, err := FindFor(tt.args, tt.given, root, runDir); err != nil || got != tt.want {
			t.Errorf("%v with %q: got %q, %v, want %q", tt.args, tt.given, got, err, tt.want)
		}
	}
}

func program(t *testing.T, dir, name string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}
