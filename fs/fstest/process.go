package fstest

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"time"
)

// readerEnv makes a test binary a reader.
const readerEnv = "CLOISTER_TEST_READER"

// Task is what a reader in another process does.
type Task struct {
	Habit  string
	File   string
	Passes int
	MaxAge time.Duration
}

// Main does a Task and ends the process, if it was started for one. TestMain calls it
// first.
func Main() {
	text := os.Getenv(readerEnv)
	if text == "" {
		return
	}
	var task Task
	err := json.Unmarshal([]byte(text), &task)
	if err == nil {
		err = task.do()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

func (t *Task) do() error {
	habits := Habits()
	i := slices.IndexFunc(habits, func(h Habit) bool { return h.Name == t.Habit })
	if i < 0 {
		return fmt.Errorf("no habit %q", t.Habit)
	}
	r := Reader{Habit: habits[i], MaxAge: t.MaxAge, Open: func() (File, error) { return OpenDescriptor(t.File) }}
	return json.NewEncoder(os.Stdout).Encode(r.Read(t.Passes))
}

// Run does the task in another process, which is killed when the context ends.
func (t *Task) Run(ctx context.Context) (result Result, err error) {
	text, err := json.Marshal(t)
	if err != nil {
		return result, err
	}
	cmd := exec.CommandContext(ctx, os.Args[0])
	// The race detector's second at the end is for goroutines that go on: here are none.
	cmd.Env = append(os.Environ(), readerEnv+"="+string(text), "GORACE=atexit_sleep_ms=0 "+os.Getenv("GORACE"))
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err == nil {
		err = json.Unmarshal(out, &result)
	}
	if err != nil {
		return result, fmt.Errorf("%s: %w", t.Habit, err)
	}
	return result, nil
}
