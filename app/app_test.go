package app

import (
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"rollcall/config"
	"rollcall/internal/logs"
	"rollcall/internal/logstest"
)

// server is a running server of a test.
type server struct {
	*App
	t    *testing.T
	url  string // http://127.0.0.1:port
	log  *logstest.Lines
	stop func() error
}

// start runs a server with the defaults, changed by change, on a free port.
func start(t *testing.T, change func(*config.Config)) *server {
	t.Helper()
	cfg := config.Default()
	cfg.Listen = "127.0.0.1:0"
	cfg.Drain = 0
	if change != nil {
		change(&cfg)
	}
	out := &logstest.Lines{}
	lg, err := logs.New(out, logs.Options{Format: "json", Level: "debug"})
	require.NoError(t, err)
	a, err := New(cfg, lg)
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- a.Run(ctx, context.Background()) }()
	s := &server{App: a, t: t, url: "http://" + a.Addr().String(), log: out}
	s.stop = sync.OnceValue(func() error {
		cancel()
		return <-ended
	})
	t.Cleanup(func() { require.NoError(t, s.stop()) })
	return s
}

// answer is an HTTP answer, read whole.
type answer struct {
	status int
	header http.Header
	body   string
}

// call makes one HTTP call; header in pairs.
func (s *server) call(method, path, body string, header ...string) answer {
	s.t.Helper()
	r, err := http.NewRequest(method, s.url+path, strings.NewReader(body))
	require.NoError(s.t, err)
	for i := 0; i < len(header); i += 2 {
		if header[i] == "Host" {
			r.Host = header[i+1]
		}
		r.Header.Set(header[i], header[i+1])
	}
	resp, err := http.DefaultClient.Do(r)
	require.NoError(s.t, err)
	defer func() { _ = resp.Body.Close() }()
	b, err := io.ReadAll(resp.Body)
	require.NoError(s.t, err)
	return answer{resp.StatusCode, resp.Header, string(b)}
}

// problem reads an RFC 9457 answer and returns its code.
func (a answer) problem(t *testing.T) string {
	t.Helper()
	require.Equal(t, "application/problem+json", a.header.Get("Content-Type"), a.body)
	var p struct {
		Type, Title, Code, Detail string
		Status                    int
	}
	require.NoError(t, json.Unmarshal([]byte(a.body), &p), a.body)
	require.Equal(t, a.status, p.Status)
	require.NotEmpty(t, p.Title)
	require.NotEmpty(t, p.Detail)
	return p.Code
}

func TestNewSaysWhatKeepsItFromStarting(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer func() { _ = taken.Close() }()
	for _, c := range []struct {
		name   string
		change func(*config.Config)
		says   string
	}{
		{"a port that is taken", func(c *config.Config) { c.Listen = taken.Addr().String() }, "address already in use"},
		{"a certificate that is not there", func(c *config.Config) { c.TLS.Cert, c.TLS.Key = "none.pem", "none.pem" }, "none.pem"},
		{"an origin that is none", func(c *config.Config) { c.Origins = []string{"nowhere"} }, "origins"},
	} {
		cfg := config.Default()
		cfg.Listen = "127.0.0.1:0"
		c.change(&cfg)
		lg, err := logs.New(io.Discard, logs.Options{Format: "json", Level: "error"})
		require.NoError(t, err)
		a, err := New(cfg, lg)
		require.ErrorContains(t, err, c.says, c.name)
		require.Nil(t, a, c.name)
	}
}

func TestHeartbeatsCanBeOff(t *testing.T) {
	s := start(t, func(c *config.Config) { c.Heartbeat.Interval = 0 })
	require.Equal(t, http.StatusOK, s.call("GET", "/readyz", "").status)
}
