package fs

import (
	"errors"
	"fmt"
	iofs "io/fs"
	"strings"
	"syscall"
)

// File is one file that every slot has.
type File struct {
	// Path is relative and slash-separated, such as "proc/meminfo".
	// Directories follow from the paths.
	Path string
	// Mode holds the permission bits.
	Mode uint32
}

// tree is the shape of a slot, shared by all slots. A node's number is its
// place in nodes plus firstNumber; the first node is the slot's directory.
//
// Numbers are given in the order of the files (a directory before the first
// file in it). So a list of files that only grows at its end keeps every number.
type tree struct {
	nodes []node
	files []int // numbers of the files, in their order
}

type node struct {
	name   string
	parent int
	mode   uint32 // file type and permissions
	file   int    // index into the list of files, unless it is a directory

	order  []int // numbers of a directory's entries, as they were added
	byName map[string]int
}

func (n *node) isDir() bool { return n.mode&syscall.S_IFMT == syscall.S_IFDIR }

const (
	dirMode = syscall.S_IFDIR | 0o555
	// rootMode keeps everybody but the host's root out: who lists the root holds
	// a lock that forgetNames waits for, for as long as they like if the entries
	// go to memory of a kind that a process serves (userfaultfd, FUSE). Containers
	// reach their files through mounts of these files alone.
	rootMode = syscall.S_IFDIR | 0o500
)

func newTree(files []File) (*tree, error) {
	t := &tree{nodes: []node{{parent: firstNumber, mode: dirMode, byName: map[string]int{}}}}
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
	names := strings.Split(f.Path, "/")
	last := len(names) - 1
	dir := firstNumber
	for _, name := range names[:last] {
		var err error
		if dir, err = t.dir(dir, name); err != nil {
			return err
		}
	}
	number, err := t.attach(node{name: names[last], parent: dir, mode: syscall.S_IFREG | f.Mode, file: file})
	t.files = append(t.files, number)
	return err
}

// dir returns the number of the directory name in parent, and makes it if need be.
func (t *tree) dir(parent int, name string) (int, error) {
	number, ok := t.node(parent).byName[name]
	if !ok {
		return t.attach(node{name: name, parent: parent, mode: dirMode, byName: map[string]int{}})
	}
	if !t.node(number).isDir() {
		return 0, fmt.Errorf("%q is a file, not a directory", name)
	}
	return number, nil
}

func (t *tree) attach(n node) (int, error) {
	number := firstNumber + len(t.nodes)
	if number > lastNumber {
		return 0, fmt.Errorf("more than %d files and directories", lastNumber-firstNumber+1)
	}
	dir := t.node(n.parent)
	if _, ok := dir.byName[n.name]; ok {
		return 0, errors.New("name exists already")
	}
	dir.byName[n.name] = number
	dir.order = append(dir.order, number)
	t.nodes = append(t.nodes, n)
	return number, nil
}
