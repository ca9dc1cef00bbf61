//go:build root

package daemon

import (
	"context"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"cloister/internal/api"
)

// get asks for a path on the control socket of a daemon.
func get(runDir, path string) (status int, body string, err error) {
	client := &http.Client{Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "unix", api.SocketPath(runDir))
		},
	}}
	return fetch(client, "http://cloister"+path)
}

func fetch(client *http.Client, url string) (status int, body string, err error) {
	resp, err := client.Get(url)
	if err != nil {
		return 0, "", err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	return resp.StatusCode, string(text), err
}

// metric returns the value in a line of the daemon's metrics, -1 if there is none.
func (h *host) metric(series string) float64 {
	h.t.Helper()
	status, text, err := get(h.runDir, metricsPath)
	if err != nil || status != http.StatusOK {
		h.t.Fatalf("got status %d, %v: %s", status, err, text)
	}
	m := regexp.MustCompile(`(?m)^` + regexp.QuoteMeta(series) + ` (.*)$`).FindStringSubmatch(text)
	if m == nil {
		return -1
	}
	value, err := strconv.ParseFloat(m[1], 64)
	if err != nil {
		h.t.Fatal(err)
	}
	return value
}

// A cat by another process (this one has to answer) is counted by file, and so is the
// container.
func TestMetricsCountARead(t *testing.T) {
	h := newHost(t)
	_, init := h.run("web")
	d, err := h.client.Container("web")
	if err != nil {
		t.Fatal(err)
	}
	const opens = `cloister_view_opens_total{file="/proc/meminfo",protocol="direct"}`
	const leased = `cloister_view_opens_total{file="/proc/meminfo",protocol="leased"}`
	const requests = `cloister_view_request_duration_seconds_count{file="/proc/meminfo"}`
	before := h.metric(opens) + h.metric(leased)
	if out, err := exec.Command("cat", filepath.Join(d.ViewsPath, "proc/meminfo")).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	h.eventually("the read is counted", func() bool {
		return h.metric(opens)+h.metric(leased) == before+1 && h.metric(requests) >= 1
	})
	for series, want := range map[string]float64{
		`cloister_view_opens_total{file="/proc/uptime",protocol="direct"}`: 0,
		`cloister_view_errors_total{file="/proc/meminfo"}`:                 0,
		"cloister_containers":                    1,
		"cloister_container_registrations_total": 1,
		"cloister_container_refusals_total":      0,
		"cloister_id_region_used":                65536,
		"cloister_worker_restarts_total":         -1, // nothing would start this daemon again
	} {
		if got := h.metric(series); got != want {
			t.Errorf("%s: got %v, want %v", series, got, want)
		}
	}
	if err := h.client.Refused(&api.Refusal{ID: "db", By: "test", Reason: "test"}); err != nil {
		t.Fatal(err)
	}
	if got := h.metric("cloister_container_refusals_total"); got != 1 {
		t.Errorf("got %v refusals, want 1", got)
	}
	kill(init)
	h.settled()
}

func TestProfiles(t *testing.T) {
	h := newHost(t)
	for path, want := range map[string]string{
		"/debug/pprof/":                    "goroutine",
		"/debug/pprof/goroutine?debug=1":   "serveUntil",
		"/debug/pprof/heap":                "\x1f\x8b", // gzip
		"/debug/pprof/symbol":              "num_symbols",
		"/debug/pprof/profile?seconds=1":   "\x1f\x8b",
		"/debug/pprof/trace?seconds=0.001": "go 1.",
	} {
		if status, body, err := get(h.runDir, path); err != nil || status != http.StatusOK || !strings.Contains(body, want) {
			t.Errorf("%s: got status %d, %v, %.100q", path, status, err, body)
		}
	}
}

// A daemon that is told to stop does not wait for a long profile.
func TestProfileEndsWithTheDaemon(t *testing.T) {
	h := newHost(t)
	asked := make(chan error, 1)
	go func() {
		_, _, err := get(h.runDir, "/debug/pprof/profile?seconds=100")
		asked <- err
	}()
	h.eventually("the profile is under way", func() bool {
		_, body, err := get(h.runDir, "/debug/pprof/goroutine?debug=2")
		return err == nil && strings.Contains(body, "pprof.sleep")
	})
	if err := h.stop(); err != nil {
		t.Error(err)
	}
	<-asked
}

func TestOnlyRootMayObserve(t *testing.T) {
	h := newHost(t)
	exe := h.everyonesClient()
	if err := os.Chmod(api.SocketPath(h.runDir), 0o666); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{metricsPath, "/debug/pprof/", "/debug/pprof/heap", "/debug/pprof/cmdline"} {
		cmd := exec.Command(exe, "get", h.runDir, path)
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
		out, err := cmd.Output()
		if err != nil {
			t.Fatal(err)
		}
		if want := "403 {\"error\":\"only root may use the control socket\"}"; !strings.HasPrefix(string(out), want) {
			t.Errorf("%s: got %q, want %q", path, out, want)
		}
	}
}

// freeAddress is one that nobody listens at now.
func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func TestMetricsOnAPort(t *testing.T) {
	h := newHost(t)
	if err := h.stop(); err != nil {
		t.Fatal(err)
	}
	h.metricsAddress = freeAddress(t)
	h.start()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	for path, want := range map[string]int{
		metricsPath: http.StatusOK, "/debug/pprof/": http.StatusNotFound, "/v1/status": http.StatusNotFound,
	} {
		if status, body, err := fetch(client, "http://"+h.metricsAddress+path); err != nil || status != want {
			t.Errorf("%s: got status %d, %v, want %d: %.100q", path, status, err, want, body)
		}
	}
	if err := h.stop(); err != nil {
		t.Fatal(err)
	}
	if _, _, err := fetch(client, "http://"+h.metricsAddress+metricsPath); err == nil {
		t.Error("the port is served after the daemon's end")
	}
}

// Views do not depend on a port.
func TestMetricsPortInUse(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	h := newHost(t)
	if err := h.stop(); err != nil {
		t.Fatal(err)
	}
	h.metricsAddress = l.Addr().String()
	h.start()
	if got := h.metric("cloister_containers"); got != 0 {
		t.Errorf("on the control socket: got %v containers", got)
	}
}

func TestMetricsAddressOfOtherHosts(t *testing.T) {
	h := newHost(t)
	if err := h.stop(); err != nil {
		t.Fatal(err)
	}
	h.metricsAddress = "0.0.0.0:9477"
	if err := Run(context.Background(), h.config()); err == nil || !strings.Contains(err.Error(), "other hosts can reach") {
		t.Errorf("got %v, want a refusal", err)
	}
}
