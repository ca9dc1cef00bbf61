package fstest

import (
	"errors"
	"fmt"
	"time"
)

// Result is what a reader got.
type Result struct {
	Habit string
	// Passes are how often it read the file. Each was either whole and fresh or one
	// of the following.
	Passes              int
	Torn, Stale, Failed int
	// Refused are the passes that went on with read(2).
	Refused int
	// Fault is the first one.
	Fault string
}

// Err returns an error if anything went wrong.
func (r *Result) Err() error {
	if r.Torn+r.Stale+r.Failed == 0 {
		return nil
	}
	return fmt.Errorf("%s: of %d passes %d torn, %d stale, %d failed; first: %s", r.Habit, r.Passes, r.Torn, r.Stale, r.Failed, r.Fault)
}

// Reader reads a file again and again.
type Reader struct {
	Habit Habit
	Open  func() (File, error)
	// MaxAge is how old an edition may be when it is begun to be read.
	MaxAge time.Duration

	kept File
}

// Read reads the file the given number of times.
func (r *Reader) Read(passes int) Result {
	result := Result{Habit: r.Habit.Name}
	for range passes {
		r.pass(&result)
	}
	if r.kept != nil {
		result.note(&result.Failed, r.kept.Close())
	}
	return result
}

// note counts an error.
func (r *Result) note(count *int, err error) {
	if err == nil {
		return
	}
	*count++
	if r.Fault == "" {
		r.Fault = fmt.Sprintf("pass %d: %v", r.Passes, err)
	}
}

func (r *Reader) pass(result *Result) {
	result.Passes++
	begun := Now()
	content, err := r.content()
	if r.Habit.Refusable && refused(err) {
		result.Refused++
		content, err = r.fallBack()
	}
	if err != nil {
		result.note(&result.Failed, err)
		return
	}
	edition, err := Parse(content)
	if err != nil {
		result.note(&result.Torn, err)
		return
	}
	if age := time.Duration(begun - int64(edition)); age > r.MaxAge {
		result.note(&result.Stale, fmt.Errorf("is %v old, which is more than %v", age, r.MaxAge))
	}
}

func (r *Reader) content() ([]byte, error) {
	return r.with(func(f File) ([]byte, error) { return r.Habit.read(f, r.between) })
}

func (r *Reader) fallBack() ([]byte, error) {
	return r.with(func(f File) ([]byte, error) { return readBy(64<<10)(f, r.between) })
}

// with calls read with an open file.
func (r *Reader) with(read func(File) ([]byte, error)) ([]byte, error) {
	f := r.kept
	if f == nil {
		var err error
		if f, err = r.Open(); err != nil {
			return nil, err
		}
	}
	if r.Habit.Kept {
		r.kept = f
		return read(f)
	}
	content, err := read(f)
	return content, errors.Join(err, f.Close())
}

// between is another reader.
func (r *Reader) between() error {
	if !r.Habit.Interrupted {
		return nil
	}
	f, err := r.Open()
	if err != nil {
		return err
	}
	_, err = readBy(8<<10)(f, func() error { return nil })
	return errors.Join(err, f.Close())
}
