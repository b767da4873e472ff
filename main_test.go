package main

import (
	"bufio"
	"encoding/json"
	"io"
	"net"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestMain lets the test's own binary be the program.
func TestMain(m *testing.M) {
	if os.Getenv("ROLLCALL_TEST_MAIN") != "" {
		os.Exit(run())
	}
	os.Exit(m.Run())
}

// program is a run of the program.
type program struct {
	t    *testing.T
	cmd  *exec.Cmd
	log  *bufio.Scanner
	seen []line
}

// line is one line of its log.
type line struct{ Event, Step, Address string }

func start(t *testing.T, args ...string) *program {
	t.Helper()
	cmd := exec.Command(os.Args[0], args...)
	cmd.Env = append(os.Environ(), "ROLLCALL_TEST_MAIN=1", "ROLLCALL_LISTEN=127.0.0.1:0")
	out, err := cmd.StderrPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	return &program{t: t, cmd: cmd, log: bufio.NewScanner(out)}
}

// until reads the log up to an event, and to one step of it where step is not
// empty.
func (p *program) until(event, step string) line {
	p.t.Helper()
	for p.log.Scan() {
		var l line
		require.NoError(p.t, json.Unmarshal(p.log.Bytes(), &l), p.log.Text())
		p.seen = append(p.seen, l)
		if l.Event == event && (step == "" || l.Step == step) {
			return l
		}
	}
	p.t.Fatalf("the program ended before %s %s", event, step)
	return line{}
}

func (p *program) signal() {
	p.t.Helper()
	require.NoError(p.t, p.cmd.Process.Signal(syscall.SIGTERM))
}

// exit waits for the end, and returns the exit code.
func (p *program) exit() int {
	p.t.Helper()
	for p.log.Scan() {
		var l line
		require.NoError(p.t, json.Unmarshal(p.log.Bytes(), &l), p.log.Text())
		p.seen = append(p.seen, l)
	}
	_ = p.cmd.Wait()
	return p.cmd.ProcessState.ExitCode()
}

// visit opens two connections: one is told at once, the other at half of the
// drain time. It returns where the program listens.
func (p *program) visit() (address string) {
	p.t.Helper()
	address = p.until("listening", "").Address
	for range 2 {
		conn, err := net.Dial("tcp", address)
		require.NoError(p.t, err)
		p.t.Cleanup(func() { _ = conn.Close() })
		_, err = io.WriteString(conn, "GET /ws HTTP/1.1\r\nHost: "+address+"\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"+
			"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")
		require.NoError(p.t, err)
		p.until("connected", "")
	}
	return address
}

func TestATermSignalTakesItDownStepByStep(t *testing.T) {
	p := start(t, "--drain=10ms", "--transport.close-timeout=100ms")
	p.visit()
	p.signal()
	require.Equal(t, 0, p.exit())
	var steps []string
	for _, l := range p.seen {
		if l.Event == "stopping" {
			steps = append(steps, l.Step)
		}
	}
	require.Equal(t, []string{
		"readyz says 503", "tell clients", "stop accepting", "close HTTP server", "close listener", "close SockJS sessions", "close connections",
		"stop actors", "close engine",
	}, steps)
	require.Equal(t, "stopped", p.seen[len(p.seen)-1].Event)
}

func TestASecondSignalEndsItAtOnce(t *testing.T) {
	p := start(t, "--drain=10m")
	address := p.visit()
	p.signal()
	p.until("cut", "") // the first client was told, the second is due in five minutes

	// Meanwhile who asks is answered.
	a, _ := answer(t, dial(t, address, "GET /readyz HTTP/1.1\r\nHost: x\r\n\r\n"))
	require.Equal(t, 503, a.StatusCode)
	a, _ = answer(t, dial(t, address, upgrade))
	require.Equal(t, 503, a.StatusCode)
	require.NotEmpty(t, a.Header.Get("Retry-After"))

	p.signal()
	require.Equal(t, 130, p.exit())
}

func TestWhatIsWrongIsSaidAndEndsIt(t *testing.T) {
	cmd := exec.Command(os.Args[0], "--session.idle-after=soon", "--lisen=:1")
	cmd.Env = append(os.Environ(), "ROLLCALL_TEST_MAIN=1")
	out, err := cmd.CombinedOutput()
	require.Error(t, err)
	require.Equal(t, 2, cmd.ProcessState.ExitCode())
	require.Contains(t, string(out), "session.idle-after")
	require.Contains(t, string(out), `did you mean "--listen"?`)
	require.Less(t, strings.Count(string(out), "\n"), 5, "a line for each, and no usage")
}
