//go:build faults

package faults

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// server is the built program, running.
type server struct {
	t       *testing.T
	cmd     *exec.Cmd
	address string
	ended   chan struct{}

	mu   sync.Mutex
	log  []line
	tail string // what it wrote that is no line of its log: a crash
}

// line is what is read of a line of the log.
type line struct {
	Event, Level, Reason, Kind, Address, Room, Session, Directive string
}

// serve starts a binary with settings, and waits until it listens.
func serve(t *testing.T, binary func() (string, error), settings ...string) *server {
	t.Helper()
	file, err := binary()
	require.NoError(t, err)
	s := &server{t: t, cmd: exec.Command(file, append([]string{"--listen=127.0.0.1:0", "--log.format=json"}, settings...)...), ended: make(chan struct{})}
	out, err := s.cmd.StderrPipe()
	require.NoError(t, err)
	require.NoError(t, s.cmd.Start())
	listening := make(chan string, 1)
	go func() {
		defer close(s.ended)
		s.read(out, listening)
		_ = s.cmd.Wait()
	}()
	t.Cleanup(func() {
		_ = s.cmd.Process.Kill()
		<-s.ended
	})
	select {
	case s.address = <-listening:
	case <-s.ended:
		t.Fatalf("the server did not start: %s", s.tail)
	case <-time.After(patience):
		t.Fatal("the server did not say where it listens")
	}
	return s
}

func (s *server) read(out io.Reader, listening chan<- string) {
	lines := bufio.NewReader(out)
	for {
		text, err := lines.ReadString('\n')
		var l line
		s.mu.Lock()
		switch {
		case text == "":
		case json.Unmarshal([]byte(text), &l) != nil:
			s.tail += text
		case l.Event == "listening":
			listening <- l.Address
		case l.Level != "info": // those of every join would fill the memory
			s.log = append(s.log, l)
		}
		s.mu.Unlock()
		if err != nil {
			return
		}
	}
}

// warnings are the lines of the log above info so far.
func (s *server) warnings() []line {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]line(nil), s.log...)
}

// stop ends the server as an operator does, and returns its exit code.
func (s *server) stop() int {
	s.t.Helper()
	require.NoError(s.t, s.cmd.Process.Signal(syscall.SIGTERM))
	return s.exit()
}

func (s *server) exit() int {
	<-s.ended
	return s.cmd.ProcessState.ExitCode()
}

// call makes one HTTP call.
func (s *server) call(method, path string) (int, []byte) {
	s.t.Helper()
	r, err := http.NewRequest(method, "http://"+s.address+path, nil)
	require.NoError(s.t, err)
	resp, err := http.DefaultClient.Do(r)
	require.NoError(s.t, err)
	defer func() { _ = resp.Body.Close() }()
	b, err := io.ReadAll(resp.Body)
	require.NoError(s.t, err)
	return resp.StatusCode, b
}

// get makes one call that must succeed, and reads its answer into v.
func (s *server) get(path string, v any) {
	s.t.Helper()
	status, b := s.call("GET", path)
	require.Equal(s.t, 200, status, "%s: %s", path, b)
	require.NoError(s.t, json.Unmarshal(b, v))
}

// metrics are all values of /metrics, by name and label.
type metrics map[string]float64

func (s *server) metrics() metrics {
	s.t.Helper()
	status, b := s.call("GET", "/metrics")
	require.Equal(s.t, 200, status)
	m := metrics{}
	for text := range strings.Lines(string(b)) {
		if name, v, ok := strings.Cut(strings.TrimSpace(text), " "); ok && !strings.HasPrefix(name, "#") {
			m[name], _ = strconv.ParseFloat(v, 64)
		}
	}
	return m
}

// sum adds up the values of one metric whatever its label.
func (m metrics) sum(name string) (total float64) {
	for k, v := range m {
		if k == name || strings.HasPrefix(k, name+"{") {
			total += v
		}
	}
	return total
}

// says is what the server counts of ends and refusals, for a run that failed.
func (s *server) says() string {
	var counts []string
	for name, n := range s.metrics() {
		for _, of := range []string{"connections_closed", "leaves", "handshakes_refused", "requests_refused", "pending"} {
			if n > 0 && strings.HasPrefix(name, "rollcall_"+of) {
				counts = append(counts, fmt.Sprint(name, " ", n))
			}
		}
	}
	slices.Sort(counts)
	return strings.Join(counts, "\n")
}

// resident is the server's resident memory now, and at its peak, in bytes.
func (s *server) resident() (now, peak int64) {
	s.t.Helper()
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.cmd.Process.Pid))
	require.NoError(s.t, err)
	for text := range strings.Lines(string(raw)) {
		var kb int64
		if n, _ := fmt.Sscanf(text, "VmRSS: %d kB", &kb); n == 1 {
			now = kb << 10
		}
		if n, _ := fmt.Sscanf(text, "VmHWM: %d kB", &kb); n == 1 {
			peak = kb << 10
		}
	}
	return now, peak
}

// processor is the time that the server has used of processors, user and
// system.
func (s *server) processor() time.Duration {
	s.t.Helper()
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", s.cmd.Process.Pid))
	require.NoError(s.t, err)
	_, rest, _ := strings.Cut(string(raw), ") ") // the name may hold anything
	f := strings.Fields(rest)
	user, err := strconv.ParseInt(f[11], 10, 64)
	require.NoError(s.t, err)
	system, err := strconv.ParseInt(f[12], 10, 64)
	require.NoError(s.t, err)
	return time.Duration(user+system) * (time.Second / ticksPerSecond)
}

// ticksPerSecond is Linux's USER_HZ, the same on all of Go's platforms.
const ticksPerSecond = 100
