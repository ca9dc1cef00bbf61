package fs

import (
	"errors"
	"fmt"
	iofs "io/fs"
	"strconv"
	"strings"
	"syscall"
)

// File is one file that every slot has.
type File struct {
	// Path is relative and slash-separated, such as "proc/meminfo". Directories
	// follow from the paths. One name in it may end in a star, as in
	// "cpu/cpu*/online": it stands for a directory for each member of a series,
	// "cpu0" and so on. The members are Content's to tell.
	Path string
	// Mode holds the permission bits.
	Mode uint32
	// Dir makes it a directory, which nothing need be in.
	Dir bool
	// Stable files change only when the server is told so (Changed).
	Stable bool
	// Hidden files are not there. They only keep a number, so that the other files
	// have the same ones with and without them.
	Hidden bool
}

// tree is the shape of a slot, shared by all slots. A node's number is its
// place in nodes plus firstNumber; the first node is the slot's directory.
//
// Numbers are given in the order of the files (a directory before the first
// file in it). So a list of files that only grows at its end keeps every number.
type tree struct {
	nodes []node
	files []int          // numbers of the files, in their order
	dirs  map[string]int // numbers of the directories by path, hidden ones included
}

type node struct {
	name   string // ends in a star if it stands for a series
	parent int
	mode   uint32 // file type and permissions
	// file is the index into the list of files, of a directory that of the first
	// file in it.
	file   int
	shown  bool
	series bool // the name stands for a series
	member bool // there is one for each member of a series

	order  []int // numbers of a directory's entries, as they were added; no series
	byName map[string]int
	stars  []int // numbers of a directory's series
}

func (n *node) isDir() bool { return n.mode&syscall.S_IFMT == syscall.S_IFDIR }

// memberName returns the name of a member's directory. Precondition: n is a series.
func (n *node) memberName(member int) string { return n.prefix() + strconv.Itoa(member) }

// parseMember is the inverse of memberName. Precondition: n is a series.
func (n *node) parseMember(name string) (int, bool) {
	digits, ok := strings.CutPrefix(name, n.prefix())
	member, err := strconv.Atoi(digits)
	return member, ok && err == nil && member >= 0 && member <= lastMember && n.memberName(member) == name
}

func (n *node) prefix() string { return strings.TrimSuffix(n.name, "*") }

const (
	dirMode = syscall.S_IFDIR | 0o555
	// rootMode keeps everybody but the host's root out: who lists the root holds
	// a lock that forgetNames waits for, for as long as they like if the entries
	// go to memory of a kind that a process serves (userfaultfd, FUSE). Containers
	// reach their files through mounts of these files alone.
	rootMode = syscall.S_IFDIR | 0o500
)

func newTree(files []File) (*tree, error) {
	t := &tree{dirs: map[string]int{".": firstNumber}}
	t.nodes = []node{{parent: firstNumber, mode: dirMode, shown: true, byName: map[string]int{}}}
	for i, f := range files {
		if err := t.add(i, f); err != nil {
			return nil, fmt.Errorf("file %q: %w", f.Path, err)
		}
	}
	return t, nil
}

// node returns nil for a number that the tree doesn't have.
func (t *tree) node(number int) *node {
	i := number - firstNumber
	if i < 0 || i >= len(t.nodes) {
		return nil
	}
	return &t.nodes[i]
}

func (t *tree) add(file int, f File) error {
	if !iofs.ValidPath(f.Path) || f.Path == "." {
		return errors.New("not a relative path")
	}
	if f.Mode&^0o777 != 0 {
		return fmt.Errorf("mode %#o has more than permission bits", f.Mode)
	}
	if strings.Count(f.Path, "*") > 1 || strings.Contains(strings.ReplaceAll(f.Path, "*/", ""), "*") {
		return errors.New("more than one series, or a star that ends no directory's name")
	}
	names := strings.Split(f.Path, "/")
	last := len(names) - 1
	dir := firstNumber
	for i, name := range names[:last] {
		var err error
		if dir, err = t.dir(dir, name, strings.Join(names[:i+1], "/"), file); err != nil {
			return err
		}
	}
	number, err := t.leaf(dir, names[last], file, f)
	if err != nil {
		return err
	}
	t.files = append(t.files, number)
	if !f.Hidden {
		return t.show(number)
	}
	return nil
}

// leaf makes the node that a File is about.
func (t *tree) leaf(dir int, name string, file int, f File) (int, error) {
	if !f.Dir {
		return t.attach(node{name: name, parent: dir, mode: syscall.S_IFREG | f.Mode, file: file})
	}
	number, err := t.dir(dir, name, f.Path, file)
	if err == nil {
		t.node(number).mode = syscall.S_IFDIR | f.Mode
	}
	return number, err
}

// dir returns the number of the directory name in parent, and makes it if need be.
func (t *tree) dir(parent int, name, path string, file int) (int, error) {
	if number, ok := t.dirs[path]; ok {
		return number, nil
	}
	number, err := t.attach(node{
		name: name, parent: parent, mode: dirMode, file: file,
		series: strings.HasSuffix(name, "*"), byName: map[string]int{},
	})
	if err == nil {
		t.dirs[path] = number
	}
	return number, err
}

func (t *tree) attach(n node) (int, error) {
	number := firstNumber + len(t.nodes)
	if number > lastNumber {
		return 0, fmt.Errorf("more than %d files and directories", lastNumber-firstNumber+1)
	}
	n.member = n.series || t.node(n.parent).member
	t.nodes = append(t.nodes, n)
	return number, nil
}

// show lists a node and the directories above it.
func (t *tree) show(number int) error {
	n := t.node(number)
	if n.shown {
		return nil
	}
	n.shown = true
	dir := t.node(n.parent)
	if n.series {
		dir.stars = append(dir.stars, number)
	} else {
		if _, ok := dir.byName[n.name]; ok {
			return errors.New("name exists already")
		}
		dir.byName[n.name] = number
		dir.order = append(dir.order, number)
	}
	return t.show(n.parent)
}
