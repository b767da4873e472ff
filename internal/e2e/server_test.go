// Package e2e tests the whole server over real sockets, in both modes of the
// transport, with the project's own client at the other end.
package e2e

import (
	"bufio"
	"context"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"rollcall/app"
	"rollcall/config"
	"rollcall/internal/logs"
	"rollcall/internal/logstest"
)

// TestMain lets the test's own binary be the second process of a test.
func TestMain(m *testing.M) {
	if spec := os.Getenv(crowdVariable); spec != "" {
		os.Exit(crowd(spec, os.Stdin, os.Stdout))
	}
	if spec := os.Getenv(churnVariable); spec != "" {
		os.Exit(churn(spec, os.Stdout))
	}
	os.Exit(m.Run())
}

// patience bounds every wait for something that should happen at once: long,
// because the machine may be busy, and no measure of speed.
const patience = 60 * time.Second

// server is a running server.
type server struct {
	*app.App
	addr string
	log  *logstest.Lines
	stop func() error // takes it down, once
}

// start runs a server on a free port with the defaults, changed by change.
func start(t testing.TB, change func(*config.Config)) *server {
	t.Helper()
	cfg := config.Default()
	cfg.Listen = "127.0.0.1:0"
	cfg.Drain = 0
	cfg.Session.ResumeWindow = 100 * time.Millisecond
	if change != nil {
		change(&cfg)
	}
	out := &logstest.Lines{}
	lg, err := logs.New(out, logs.Options{Format: "json", Level: cfg.Log.Level})
	require.NoError(t, err)
	a, err := app.New(cfg, lg)
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- a.Run(ctx, context.Background()) }()
	s := &server{App: a, addr: a.Addr().String(), log: out}
	s.stop = sync.OnceValue(func() error {
		cancel()
		return <-ended
	})
	t.Cleanup(func() { require.NoError(t, s.stop()) })
	return s
}

// call makes an HTTP call and returns its status and body.
func (s *server) call(t testing.TB, method, path, body string) (int, string) {
	t.Helper()
	r, err := http.NewRequest(method, "http://"+s.addr+path, strings.NewReader(body))
	require.NoError(t, err)
	resp, err := http.DefaultClient.Do(r)
	require.NoError(t, err)
	defer func() { _ = resp.Body.Close() }()
	b, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	return resp.StatusCode, string(b)
}

// metric reads one value of /metrics; name with its labels.
func (s *server) metric(t testing.TB, name string) float64 {
	t.Helper()
	_, body := s.call(t, "GET", "/metrics", "")
	lines := bufio.NewScanner(strings.NewReader(body))
	for lines.Scan() {
		if v, ok := strings.CutPrefix(lines.Text(), name+" "); ok {
			f, err := strconv.ParseFloat(v, 64)
			require.NoError(t, err)
			return f
		}
	}
	t.Fatalf("no metric %s", name)
	return 0
}

// eventually waits until a condition holds, looking again and again.
func eventually(t testing.TB, what string, holds func() bool) {
	t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(patience)
	for !holds() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("waited %s for %s", patience, what)
		}
	}
}
