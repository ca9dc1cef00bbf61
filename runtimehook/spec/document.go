// Package spec reads and rewrites an OCI runtime config.json without losing a
// field.
//
// A Document holds the file twice: as generic JSON, which is what is changed and
// written back, so that fields of newer specifications survive; and as a typed
// specs.Spec of what was read, for decisions. Runtimes written in Go match keys
// without regard to case, so a key that differs from a known one only by case is
// refused: what is decided on here is what the runtime will read.
//
// Each file beside this one is one change to the document. None of them touches
// the kernel.
package spec

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"
)

// Document is a config.json.
type Document struct {
	// Spec is what was read. Changes to the document don't show in it.
	Spec *specs.Spec

	raw object
}

type (
	object = map[string]any
	list   = []any
)

// ErrSpec is wrapped by every error about the content of a config.json. Its
// text is the prefix that engines show for such errors.
var ErrSpec = errors.New("error in the container spec")

// Parse reads a config.json.
func Parse(data []byte) (*Document, error) {
	d := &Document{Spec: &specs.Spec{}}
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.UseNumber()
	if err := dec.Decode(&d.raw); err != nil {
		return nil, fmt.Errorf("%w: parse config.json: %w", ErrSpec, err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("%w: parse config.json: data after the end of the document", ErrSpec)
	}
	if d.raw == nil {
		return nil, fmt.Errorf("%w: parse config.json: the document is null", ErrSpec)
	}
	if err := checkKeys(d.raw, reflect.TypeFor[specs.Spec](), ""); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrSpec, err)
	}
	// Decoded from what will be written, not from data: of a key that stands
	// there twice, both views hold the same one.
	text, err := d.Bytes()
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(text, d.Spec); err != nil {
		return nil, fmt.Errorf("%w: parse config.json: %w", ErrSpec, err)
	}
	if d.Spec.Linux == nil || d.Spec.Root == nil || d.Spec.Process == nil {
		return nil, fmt.Errorf("%w: config.json needs the sections root, process and linux", ErrSpec)
	}
	return d, nil
}

// Bytes returns the document as it stands.
func (d *Document) Bytes() ([]byte, error) {
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(d.raw); err != nil {
		return nil, fmt.Errorf("write config.json: %w", err)
	}
	return buf.Bytes(), nil
}

// section returns the object at a top-level key and makes it where it is missing.
func (d *Document) section(name string) object { return child(d.raw, name) }

func (d *Document) linux() object { return d.section("linux") }

func child(o object, name string) object {
	if c, ok := o[name].(object); ok {
		return c
	}
	c := object{}
	o[name] = c
	return c
}

// elements returns the array at a key; a missing one is empty.
func elements(o object, name string) list {
	l, _ := o[name].(list)
	return l
}

// generic turns a typed value into the form that the document holds.
func generic(v any) any {
	data, err := json.Marshal(v)
	if err != nil {
		panic(fmt.Sprintf("spec: %T does not marshal: %v", v, err)) // own types only
	}
	var out any
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.UseNumber()
	if err := dec.Decode(&out); err != nil {
		panic(fmt.Sprintf("spec: %T does not decode again: %v", v, err))
	}
	return out
}

// checkKeys refuses keys that differ from those of t by case alone.
func checkKeys(v any, t reflect.Type, path string) error {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	switch v := v.(type) {
	case object:
		return checkObject(v, t, path)
	case list:
		if t.Kind() != reflect.Slice {
			return nil // a wrong type is reported when it is decoded
		}
		for i, e := range v {
			if err := checkKeys(e, t.Elem(), fmt.Sprintf("%s[%d]", path, i)); err != nil {
				return err
			}
		}
	}
	return nil
}

func checkObject(o object, t reflect.Type, path string) error {
	if t.Kind() != reflect.Struct {
		if t.Kind() != reflect.Map {
			return nil
		}
		for k, e := range o {
			if err := checkKeys(e, t.Elem(), path+"."+k); err != nil {
				return err
			}
		}
		return nil
	}
	known := fields(t)
	for k, e := range o {
		if ft, ok := known[k]; ok {
			if err := checkKeys(e, ft, path+"."+k); err != nil {
				return err
			}
			continue
		}
		for name := range known {
			if strings.EqualFold(name, k) {
				return fmt.Errorf("key %q is spelled %q", strings.TrimPrefix(path+"."+k, "."), name)
			}
		}
	}
	return nil
}

// fields maps the JSON names of a struct's fields to their types.
func fields(t reflect.Type) map[string]reflect.Type {
	out := make(map[string]reflect.Type, t.NumField())
	for f := range t.Fields() {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		switch {
		case f.Anonymous && name == "":
			for n, ft := range fields(f.Type) {
				out[n] = ft
			}
		case name != "" && name != "-":
			out[name] = f.Type
		case name == "":
			out[f.Name] = f.Type
		}
	}
	return out
}
