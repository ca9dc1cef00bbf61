package wrapper

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"time"

	"cloister/runtimehook/argv"
)

// report tells the engine and the person why a command failed: in the runtime's
// log, where engines look, and on standard error. cmd may be only partly known.
func report(cmd *argv.Command, err error) {
	// errors.Join puts each on a line of its own; engines show one line.
	text := strings.ReplaceAll(err.Error(), "\n", "; ")
	fmt.Fprintln(os.Stderr, text)
	if cmd == nil || cmd.Log == "" {
		return
	}
	line := logLine(cmd.LogFormat, text, time.Now())
	f, err := os.OpenFile(cmd.Log, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		fmt.Fprintln(os.Stderr, "log:", err)
		return
	}
	if _, err := f.WriteString(line); err != nil {
		fmt.Fprintln(os.Stderr, "log:", err)
	}
	_ = f.Close()
}

// logLine formats an error as runc does.
func logLine(format, text string, now time.Time) string {
	stamp := now.Format(time.RFC3339)
	if format != "json" {
		return fmt.Sprintf("time=%q level=error msg=%q\n", stamp, text)
	}
	line, err := json.Marshal(struct {
		Level string `json:"level"`
		Msg   string `json:"msg"`
		Time  string `json:"time"`
	}{"error", text, stamp})
	if err != nil {
		panic(err) // strings always marshal
	}
	return string(line) + "\n"
}
