package vm

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// cpioEntry is what a reader finds.
type cpioEntry struct {
	Name, Content string
	Mode          uint64
}

// readCPIO reads an archive up to its trailer, which it leaves out.
func readCPIO(r io.Reader) ([]cpioEntry, error) {
	var entries []cpioEntry
	at := 0
	take := func(n int) ([]byte, error) { // up to the next multiple of four
		b := make([]byte, n)
		_, err := io.ReadFull(r, b)
		at += n
		for ; err == nil && at%4 != 0; at++ {
			var zero [1]byte
			if _, err = io.ReadFull(r, zero[:]); err == nil && zero[0] != 0 {
				err = errors.New("padding is not zero")
			}
		}
		return b, err
	}
	inodes := map[uint64]bool{}
	for {
		const header = 110
		b := make([]byte, header)
		if _, err := io.ReadFull(r, b); err != nil {
			return entries, err
		}
		at += header
		if string(b[:6]) != "070701" {
			return entries, fmt.Errorf("magic is %q", b[:6])
		}
		var fields [13]uint64
		for i := range fields {
			n, err := strconv.ParseUint(string(b[6+8*i:14+8*i]), 16, 32)
			if err != nil {
				return entries, err
			}
			fields[i] = n
		}
		inode, mode, size, nameSize := fields[0], fields[1], fields[6], fields[11]
		name, err := take(int(nameSize))
		if err != nil {
			return entries, err
		}
		content, err := take(int(size))
		if err != nil {
			return entries, err
		}
		text, ok := strings.CutSuffix(string(name), "\x00")
		if !ok {
			return entries, fmt.Errorf("name %q does not end in NUL", name)
		}
		if text == "TRAILER!!!" {
			return entries, nil
		}
		if inodes[inode] {
			return entries, fmt.Errorf("%s has the inode of another file: the kernel would link them", text)
		}
		inodes[inode] = true
		entries = append(entries, cpioEntry{Name: text, Content: string(content), Mode: mode})
	}
}

func TestCPIO(t *testing.T) {
	var out bytes.Buffer
	c := &cpioWriter{w: &out}
	c.addDir("etc", 0o755)
	for _, content := range []string{"", "1", "12", "123", "1234"} {
		c.add("etc/"+content, typeRegular|0o644, int64(len(content)), strings.NewReader(content))
	}
	c.addSymlink("bin", "usr/bin")
	if err := c.close(); err != nil {
		t.Fatal(err)
	}
	got, err := readCPIO(&out)
	if err != nil {
		t.Fatal(err)
	}
	want := []cpioEntry{
		{Name: "etc", Mode: 0o040755},
		{Name: "etc/", Mode: 0o100644},
		{Name: "etc/1", Content: "1", Mode: 0o100644},
		{Name: "etc/12", Content: "12", Mode: 0o100644},
		{Name: "etc/123", Content: "123", Mode: 0o100644},
		{Name: "etc/1234", Content: "1234", Mode: 0o100644},
		{Name: "bin", Content: "usr/bin", Mode: 0o120777},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("entries (-want +got):\n%s", diff)
	}
	if out.Len() != 0 {
		t.Errorf("%d bytes after the trailer, want none", out.Len())
	}
}

func TestCPIOErrors(t *testing.T) {
	for _, tt := range []struct {
		name string
		size int64
		want error
	}{
		{"file that has shrunk", 9, io.EOF},
		{"file that has grown", 7, nil},
		{"file too large for the format", 1 << 32, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var out bytes.Buffer
			c := &cpioWriter{w: &out}
			c.add("file", typeRegular, tt.size, strings.NewReader("12345678"))
			err := c.close()
			if tt.want != nil && !errors.Is(err, tt.want) {
				t.Errorf("got error %v, want %v", err, tt.want)
			}
			if tt.size < 8 && err != nil || tt.size > 8 && err == nil {
				t.Errorf("got error %v for %d of 8 bytes", err, tt.size)
			}
		})
	}
}

func FuzzCPIO(f *testing.F) {
	f.Add("init", []byte("#!/bin/sh\n"), uint32(0o755), "sbin")
	f.Add("a", []byte{}, uint32(0), "")
	f.Fuzz(func(t *testing.T, name string, content []byte, perm uint32, link string) {
		if strings.Contains(name, "\x00") || name == "TRAILER!!!" {
			t.Skip("no file has this name")
		}
		perm &= 0o7777
		var out bytes.Buffer
		c := &cpioWriter{w: &out}
		c.add(name, typeRegular|perm, int64(len(content)), bytes.NewReader(content))
		c.addSymlink("link", link)
		if err := c.close(); err != nil {
			t.Fatal(err)
		}
		got, err := readCPIO(&out)
		if err != nil {
			t.Fatal(err)
		}
		want := []cpioEntry{
			{Name: name, Content: string(content), Mode: uint64(0o100000 | perm)},
			{Name: "link", Content: link, Mode: 0o120777},
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("entries (-want +got):\n%s", diff)
		}
	})
}
