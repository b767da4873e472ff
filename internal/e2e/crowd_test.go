package e2e

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"rollcall/config"
	"rollcall/protocol"
)

// A crowd is thousands of clients in a process of their own: client and server
// in one would need twice the descriptors.

// crowdVariable makes the test's binary a crowd: "address number rooms
// handshakes", the last of them at once.
const crowdVariable = "ROLLCALL_TEST_CROWD"

// crowd connects clients, and does what it is told line by line: "want N"
// waits until its clients got N messages in all, "leave" closes all with a
// close frame and waits for the server's.
func crowd(spec string, in io.Reader, out io.Writer) int {
	var addr string
	var n, rooms, handshakes int
	if _, err := fmt.Sscan(spec, &addr, &n, &rooms, &handshakes); err != nil {
		fmt.Fprintln(out, "spec:", err)
		return 2
	}
	c := &crowdOf{joined: make(chan error, n), left: make(chan error, n)}
	limit := make(chan struct{}, handshakes)
	for i := range n {
		limit <- struct{}{}
		go func() {
			conn, r, err := dialRaw(addr, "room=r"+strconv.Itoa(i%rooms)+"&user=u"+strconv.Itoa(i))
			<-limit
			if err != nil {
				c.joined <- err
				return
			}
			c.serve(conn, r)
		}()
	}
	if err := collect(c.joined, n); err != nil {
		fmt.Fprintln(out, "join:", err)
		return 1
	}
	fmt.Fprintln(out, "joined")
	lines := bufio.NewScanner(in)
	for lines.Scan() {
		word, rest, _ := strings.Cut(lines.Text(), " ")
		switch word {
		case "want":
			want, _ := strconv.ParseInt(rest, 10, 64)
			c.await(want)
			fmt.Fprintln(out, "got", c.messages.Load())
		case "leave":
			c.leave()
			if err := collect(c.left, n); err != nil {
				fmt.Fprintln(out, "leave:", err)
				return 1
			}
			fmt.Fprintln(out, "left")
		}
	}
	return 0
}

func collect(done <-chan error, n int) error {
	for range n {
		if err := <-done; err != nil {
			return err
		}
	}
	return nil
}

type crowdOf struct {
	joined, left chan error
	messages     atomic.Int64
	leaving      atomic.Bool

	mu    sync.Mutex
	conns []net.Conn
}

// await waits until the crowd got so many messages, or for as long as anybody
// waits here.
func (c *crowdOf) await(messages int64) {
	look := time.NewTicker(10 * time.Millisecond)
	defer look.Stop()
	deadline := time.After(patience)
	for c.messages.Load() < messages {
		select {
		case <-look.C:
		case <-deadline:
			return
		}
	}
}

// dialRaw upgrades a connection by hand, and returns a reader of its frames.
func dialRaw(addr, query string) (net.Conn, *bufio.Reader, error) {
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		return nil, nil, err
	}
	_, err = fmt.Fprintf(conn, "GET /ws?%s HTTP/1.1\r\nHost: %s\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"+
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n", query, addr)
	if err != nil {
		return nil, nil, err
	}
	r := bufio.NewReaderSize(conn, 512)
	for first := true; ; first = false {
		line, err := r.ReadString('\n')
		switch {
		case err != nil:
			return nil, nil, err
		case first && !strings.HasPrefix(line, "HTTP/1.1 101"):
			return nil, nil, fmt.Errorf("handshake: %s", line)
		case line == "\r\n":
			return conn, r, nil
		}
	}
}

// serve reads one client's frames until the end.
func (c *crowdOf) serve(conn net.Conn, r *bufio.Reader) {
	c.mu.Lock()
	c.conns = append(c.conns, conn)
	c.mu.Unlock()
	in := false
	for {
		op, payload, err := readFrame(r)
		switch {
		case err != nil:
			switch {
			case !in:
				c.joined <- err
			case c.leaving.Load():
				c.left <- fmt.Errorf("no close frame: %w", err)
			default:
				c.left <- fmt.Errorf("cut: %w", err)
			}
			return
		case op == 8:
			_ = conn.Close()
			c.left <- nil
			return
		case op == 9:
			_, _ = conn.Write(maskedFrame(10, payload))
		case bytes.HasPrefix(payload, []byte(`{"type":"joined"`)):
			in = true
			c.joined <- nil
		case bytes.HasPrefix(payload, []byte(`{"type":"message"`)):
			c.messages.Add(1)
		}
	}
}

func (c *crowdOf) leave() {
	c.leaving.Store(true)
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, conn := range c.conns {
		_, _ = conn.Write(maskedFrame(8, []byte{0x03, 0xe9})) // 1001: going away
	}
}

func readFrame(r *bufio.Reader) (op byte, payload []byte, err error) {
	var h [2]byte
	if _, err = io.ReadFull(r, h[:]); err != nil {
		return 0, nil, err
	}
	n := uint64(h[1] & 127)
	switch n {
	case 126:
		var l [2]byte
		_, err = io.ReadFull(r, l[:])
		n = uint64(binary.BigEndian.Uint16(l[:]))
	case 127:
		var l [8]byte
		_, err = io.ReadFull(r, l[:])
		n = binary.BigEndian.Uint64(l[:])
	}
	if err != nil {
		return 0, nil, err
	}
	payload = make([]byte, n)
	_, err = io.ReadFull(r, payload)
	return h[0] & 15, payload, err
}

// maskedFrame is a short client frame with a mask of zeros.
func maskedFrame(op byte, payload []byte) []byte {
	return append([]byte{0x80 | op, 0x80 | byte(len(payload)), 0, 0, 0, 0}, payload...)
}

// crowdProcess is a crowd from the test's side.
type crowdProcess struct {
	t   testing.TB
	cmd *exec.Cmd
	in  io.WriteCloser
	out *bufio.Scanner
}

func startCrowd(t testing.TB, addr string, n, rooms int) *crowdProcess {
	t.Helper()
	return startStorm(t, addr, n, rooms, 64)
}

// startStorm is startCrowd with so many handshakes at once.
func startStorm(t testing.TB, addr string, n, rooms, handshakes int) *crowdProcess {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), fmt.Sprintf("%s=%s %d %d %d", crowdVariable, addr, n, rooms, handshakes))
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	require.NoError(t, err)
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	c := &crowdProcess{t, cmd, in, bufio.NewScanner(out)}
	t.Cleanup(func() {
		_ = in.Close()
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	require.Equal(t, "joined", c.answer())
	return c
}

func (c *crowdProcess) answer() string {
	c.t.Helper()
	require.True(c.t, c.out.Scan(), "the crowd ended")
	return c.out.Text()
}

func (c *crowdProcess) tell(line string) string {
	c.t.Helper()
	_, err := fmt.Fprintln(c.in, line)
	require.NoError(c.t, err)
	return c.answer()
}

func TestTenThousandConnections(t *testing.T) {
	const n, rooms = 10_000, 200
	s := start(t, func(c *config.Config) {
		c.Heartbeat.Interval, c.Heartbeat.Timeout = time.Second, 30*time.Second
		c.Room.Linger = 0
		c.Log.Level = "warn"
	})
	open := func() float64 { return s.metric(t, `rollcall_connections{transport="websocket"}`) }
	before, goroutines := heap(), runtime.NumGoroutine()

	crowd := startCrowd(t, s.addr, n, rooms)
	require.EqualValues(t, n, open())
	require.EqualValues(t, n, s.metric(t, "rollcall_members"))
	require.EqualValues(t, rooms, s.metric(t, "rollcall_rooms"))

	beats := s.metric(t, "rollcall_heartbeats_total")
	eventually(t, "a heartbeat of everybody", func() bool { return s.metric(t, "rollcall_heartbeats_total") >= beats+n })
	if runtime.GOOS == "linux" {
		require.Less(t, runtime.NumGoroutine(), goroutines+500, "a goroutine per connection")
	}
	for i := range rooms {
		status, body := s.call(t, "POST", "/api/v1/rooms/r"+strconv.Itoa(i)+"/messages", `{"data":"hello"}`)
		require.Equal(t, 201, status, body)
	}
	require.Equal(t, fmt.Sprint("got ", n), crowd.tell(fmt.Sprint("want ", n)), "everybody gets the message of their room, once")
	peak := heap()

	require.Equal(t, "left", crowd.tell("leave"))
	eventually(t, "everybody to be gone", func() bool { return open() == 0 && s.metric(t, "rollcall_rooms") == 0 })
	require.EqualValues(t, 0, s.metric(t, "rollcall_members"))
	require.EqualValues(t, n, s.metric(t, `rollcall_leaves_total{reason="closed"}`))
	require.EqualValues(t, 0, s.metric(t, `rollcall_connections_closed_total{cause="slow"}`))
	after := heap()
	t.Logf("heap: %d KB before, %d KB with %d members (%d B each), %d KB after", before>>10, peak>>10, n, (peak-before)/n, after>>10)
	// Maps that have been large keep memory: those of the clients, and of the actors by name.
	require.Less(t, after-before, (peak-before)/2, "memory that stays after everybody left")
}

// heap is what is in use after a full collection.
func heap() int64 {
	debug.FreeOSMemory()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// BenchmarkIdleConnection measures the memory of the server's process per
// connection that is an idle member of a room of 50: resident, heap, and what
// the kernel does not tell.
func BenchmarkIdleConnection(b *testing.B) {
	const n, rooms = 10_000, 200
	for b.Loop() {
		s := start(b, func(c *config.Config) { c.Log.Level = "warn" })
		heapBefore, rssBefore := heap(), resident(b)
		c := startCrowd(b, s.addr, n, rooms)
		b.ReportMetric(float64(heap()-heapBefore)/n, "heap-B/conn")
		b.ReportMetric(float64(resident(b)-rssBefore)/n, "rss-B/conn")
		require.Equal(b, "left", c.tell("leave"))
		require.NoError(b, s.stop())
	}
	b.ReportMetric(0, "ns/op")
}

// BenchmarkFanout publishes to one room over real sockets, one message at a
// time, and measures the processor time of the server's process per delivery.
// The publisher's own, in the same process, is in it.
func BenchmarkFanout(b *testing.B) {
	for _, n := range []int{1000, 5000} {
		b.Run(strconv.Itoa(n), func(b *testing.B) {
			s := start(b, func(c *config.Config) {
				c.Log.Level = "warn"
				c.Limits.PublishRate = 0
				c.Limits.OutboundBytes = 8 << 20
			})
			c := startCrowd(b, s.addr, n, 1)
			p := connect(b, s.addr, "user=publisher&room=r0")
			data := json.RawMessage(`"` + strings.Repeat("x", 60) + `"`)
			b.ResetTimer()
			before := processorTime(b)
			for i := range b.N {
				p.send(&protocol.Publish{Request: protocol.Request{ID: uint64(i + 1), Room: "r0"}, Data: data})
				wantThat(p, func(m *protocol.OK) bool { return m.ID == uint64(i+1) })
			}
			want := n * b.N
			require.Equal(b, fmt.Sprint("got ", want), c.tell(fmt.Sprint("want ", want)))
			b.ReportMetric(float64(processorTime(b)-before)/float64(want), "cpu-ns/delivery")
			b.ReportMetric(s.metric(b, "rollcall_outbound_writes_total")/float64(want), "writes/delivery")
		})
	}
}

// BenchmarkJoinStorm lets a crowd into one room and out again, each join and
// each leave told to all, and measures the processor time of the server's
// process for all of it.
func BenchmarkJoinStorm(b *testing.B) {
	for _, n := range []int{1000, 2000} {
		b.Run(strconv.Itoa(n), func(b *testing.B) {
			var used int64
			var frames, writes float64
			for b.Loop() {
				s := start(b, func(c *config.Config) {
					c.Log.Level = "warn"
					c.Limits.OutboundBytes = 8 << 20
				})
				before := processorTime(b)
				c := startCrowd(b, s.addr, n, 1)
				require.NoError(b, c.cmd.Process.Kill())
				eventually(b, "everybody to be gone", func() bool { return s.System().Stats().Members.Load() == 0 })
				used += processorTime(b) - before
				frames += s.metric(b, "rollcall_messages_sent_total")
				writes += s.metric(b, "rollcall_outbound_writes_total")
				require.NoError(b, s.stop())
			}
			b.ReportMetric(float64(used)/1e9/float64(b.N), "cpu-s")
			b.ReportMetric(frames/float64(b.N), "frames")
			b.ReportMetric(writes/float64(b.N), "writes")
		})
	}
}

// processorTime is what this process has used, user and system, in
// nanoseconds.
func processorTime(b testing.TB) int64 {
	var u syscall.Rusage
	require.NoError(b, syscall.Getrusage(syscall.RUSAGE_SELF, &u))
	return u.Utime.Nano() + u.Stime.Nano()
}

// resident is the resident set of this process, in bytes.
func resident(b testing.TB) int64 {
	raw, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		b.Skip("no /proc on this system: resident memory is not told")
	}
	pages, err := strconv.ParseInt(strings.Fields(string(raw))[1], 10, 64)
	require.NoError(b, err)
	return pages * int64(os.Getpagesize())
}
