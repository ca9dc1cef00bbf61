package bundle

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// Root is the directory under which the host's / is seen.
type Root string

// Path returns where a file of the host is.
func (r Root) Path(path string) string { return filepath.Join("/", string(r), path) }

// A node is a directory, a file or a symbolic link of the root file system.
type node struct {
	path string
	mode os.FileMode
	text string // of a file; where a link leads
}

// nodes are the whole root file system but for the links into /usr.
func nodes(name Name) []node {
	return []node{
		{path: "", mode: os.ModeDir | 0o755},
		{path: "dev", mode: os.ModeDir | 0o755},
		{path: "etc", mode: os.ModeDir | 0o755},
		{path: "etc/alternatives", mode: os.ModeDir | 0o755},
		{path: "etc/group", mode: 0o644, text: "root:x:0:\ntty:x:5:\nnogroup:x:65534:\n"},
		{path: "etc/hostname", mode: 0o644, text: string(name) + "\n"},
		{path: "etc/hosts", mode: 0o644, text: fmt.Sprintf("127.0.0.1\tlocalhost %s\n::1\tlocalhost ip6-localhost ip6-loopback\n", name)},
		{path: "etc/passwd", mode: 0o644, text: "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/nonexistent:/bin/false\n"},
		{path: "home", mode: os.ModeDir | 0o755},
		{path: "proc", mode: os.ModeDir | 0o755},
		{path: "root", mode: os.ModeDir | 0o700},
		{path: "run", mode: os.ModeDir | 0o755},
		{path: "sys", mode: os.ModeDir | 0o755},
		{path: "tmp", mode: os.ModeDir | os.ModeSticky | 0o777},
		{path: "usr", mode: os.ModeDir | 0o755},
		{path: "var", mode: os.ModeDir | 0o755},
	}
}

// buildRoot makes a root file system whose programs are those of the host's /usr,
// which is to be mounted there. Nothing else of the host's is in it.
func (r Root) buildRoot(dir string, name Name) error {
	all := nodes(name)
	for _, find := range []func() ([]node, error){r.usrLinks, r.alternatives} {
		links, err := find()
		if err != nil {
			return err
		}
		all = append(all, links...)
	}
	for _, n := range all {
		if err := n.make(filepath.Join(dir, n.path)); err != nil {
			return err
		}
	}
	return nil
}

func (n *node) make(path string) (err error) {
	switch n.mode.Type() {
	case os.ModeSymlink:
		return os.Symlink(n.text, path)
	case os.ModeDir:
		err = os.Mkdir(path, n.mode.Perm())
	default:
		err = os.WriteFile(path, []byte(n.text), n.mode.Perm())
	}
	if err != nil {
		return err
	}
	return os.Chmod(path, n.mode) // whatever the umask is
}

// mergedDirs are the directories that lead into /usr on a host with a merged /usr.
// All but the first may be missing.
var mergedDirs = []string{"bin", "sbin", "lib", "lib32", "lib64", "libx32"}

// errNotMerged says that the host has programs that are not in its /usr.
var errNotMerged = errors.New("this host keeps programs outside /usr, so the container can't share them; give it a root file system with --rootfs")

// usrLinks returns the host's links from / into /usr.
func (r Root) usrLinks() ([]node, error) {
	var links []node
	for _, dir := range mergedDirs {
		target, err := os.Readlink(r.Path(dir))
		if errors.Is(err, os.ErrNotExist) && dir != mergedDirs[0] {
			continue
		}
		target = strings.TrimPrefix(target, "/")
		if err != nil || !strings.HasPrefix(target, "usr/") {
			return nil, fmt.Errorf("/%s: %w", dir, errNotMerged)
		}
		links = append(links, node{path: dir, mode: os.ModeSymlink, text: target})
	}
	return links, nil
}

// alternativesDir holds the links by which Debian and others choose between
// programs of the same purpose: /usr/bin/awk leads to one in it, which leads to
// /usr/bin/mawk.
const alternativesDir = "/etc/alternatives"

// alternatives returns the links there that programs in /usr lead through.
func (r Root) alternatives() ([]node, error) {
	var links []node
	seen := map[string]bool{}
	for _, dir := range []string{"/usr/bin", "/usr/sbin"} {
		entries, err := os.ReadDir(r.Path(dir))
		if err != nil {
			return nil, err
		}
		for _, e := range entries {
			link := r.readlink(filepath.Join(dir, e.Name()))
			if filepath.Dir(link) != alternativesDir || seen[link] {
				continue
			}
			seen[link] = true
			if target := r.readlink(link); target != "" {
				links = append(links, node{path: link, mode: os.ModeSymlink, text: target})
			}
		}
	}
	return links, nil
}

// readlink returns where the host's link at path leads, "" if there is none.
func (r Root) readlink(path string) string {
	target, err := os.Readlink(r.Path(path))
	if err != nil {
		return ""
	}
	return target
}
