//go:build unix

package main

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// filesVariable lets the program of a test open so many files and no more.
const filesVariable = "ROLLCALL_TEST_FILES"

func init() {
	if s := os.Getenv(filesVariable); s != "" {
		n, err := strconv.ParseUint(s, 10, 32)
		if err == nil {
			err = syscall.Setrlimit(syscall.RLIMIT_NOFILE, &syscall.Rlimit{Cur: n, Max: n})
		}
		if err != nil {
			panic(err)
		}
	}
}

// patience bounds waits for what should come at once.
const patience = 60 * time.Second

// dial opens a TCP connection to a server and says something.
func dial(t *testing.T, address, text string) net.Conn {
	t.Helper()
	conn, err := net.DialTimeout("tcp", address, patience)
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	require.NoError(t, conn.SetDeadline(time.Now().Add(patience)))
	_, err = io.WriteString(conn, text)
	require.NoError(t, err)
	return conn
}

const upgrade = "GET /ws HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" +
	"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"

// answer reads the answer to a request.
func answer(t *testing.T, conn net.Conn) (*http.Response, *bufio.Reader) {
	t.Helper()
	r := bufio.NewReader(conn)
	a, err := http.ReadResponse(r, nil)
	require.NoError(t, err)
	return a, r
}

// get asks for a page on a connection of its own.
func get(t *testing.T, address, path string) string {
	t.Helper()
	a, _ := answer(t, dial(t, address, "GET "+path+" HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"))
	require.Equal(t, 200, a.StatusCode)
	b, err := io.ReadAll(a.Body)
	require.NoError(t, err)
	return string(b)
}

// ignoreLog reads the rest of the log, so that the program can go on writing it.
func (p *program) ignoreLog() {
	go func() {
		for p.log.Scan() {
		}
	}()
}

// Where the files are shared out by default, neither WebSockets nor handshakes
// that never end can take them all.
func TestThereIsAlwaysAFileForTheProbe(t *testing.T) {
	const files, connections = 256, (256 - 64) * 9 / 10
	t.Setenv(filesVariable, strconv.Itoa(files))
	p := start(t)
	address := p.until("listening", "").Address
	p.ignoreLog()
	for range connections {
		a, _ := answer(t, dial(t, address, upgrade))
		require.Equal(t, 101, a.StatusCode)
	}
	for range files / 4 {
		_ = dial(t, address, "GET /ws HTTP/1.1\r\nHost: x\r\nX-Long: ")
	}
	a, _ := answer(t, dial(t, address, upgrade))
	require.Equal(t, 503, a.StatusCode)
	require.NotEmpty(t, a.Header.Get("Retry-After"))
	require.Equal(t, "ok\n", get(t, address, "/healthz"))
	opened := fmt.Sprintf("\nrollcall_connections{transport=\"websocket\"} %d\n", connections)
	require.Eventually(t, func() bool { return strings.Contains(get(t, address, "/metrics"), opened) }, patience, time.Millisecond)
	metrics := get(t, address, "/metrics")
	require.Contains(t, metrics, "\nrollcall_handshakes_refused_total{reason=\"full\"} 1\n")
	require.Contains(t, metrics, "\nrollcall_accept_failures_total 0\n")
}

// Where the configuration allows more than there are files, the server goes on
// with those that it has, waits without spinning, and lets others in when some
// are free again.
func TestFilesRunOut(t *testing.T) {
	const files = 128
	t.Setenv(filesVariable, strconv.Itoa(files))
	p := start(t, "--limits.connections=10000", "--limits.pending=10000")
	address := p.until("listening", "").Address
	var all []net.Conn
	for range files + 20 { // who is not accepted waits in the kernel's queue
		all = append(all, dial(t, address, upgrade))
	}
	p.until("http_failure", "")
	p.ignoreLog()
	a, frames := answer(t, all[0])
	require.Equal(t, 101, a.StatusCode)
	_, err := all[0].Write(append([]byte{0x81, 0x80 | 15, 0, 0, 0, 0}, `{"type":"ping"}`...))
	require.NoError(t, err)
	for pong := false; !pong; { // behind welcome
		line, err := frames.ReadString('}')
		require.NoError(t, err)
		pong = strings.Contains(line, `"pong"`)
	}
	for _, conn := range all[1:] {
		_ = conn.Close()
	}
	a, _ = answer(t, dial(t, address, upgrade))
	require.Equal(t, 101, a.StatusCode)
	metrics := get(t, address, "/metrics")
	_, count, _ := strings.Cut(metrics, "\nrollcall_accept_failures_total ")
	count, _, _ = strings.Cut(count, "\n")
	n, err := strconv.Atoi(count)
	require.NoError(t, err, metrics)
	require.Positive(t, n)
	require.Less(t, n, 10_000, "it spins")
}
