package transport

import (
	"bytes"
	"fmt"
	"net"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"unsafe"

	"github.com/gobwas/ws"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"rollcall/internal/conformance/raw"
)

// members is a server with n idle clients that cost no Go memory: bare
// descriptors.
type members struct {
	*testServer
	conns []Conn
	fds   []int
}

func connectMembers(b *testing.B, n int) *members {
	b.Helper()
	var mu sync.Mutex
	m := &members{}
	var h Handler = opener(func(c Conn) {
		mu.Lock()
		defer mu.Unlock()
		m.conns = append(m.conns, c)
	})
	m.testServer = serve(b, Options{Mode: ModeEpoll, OutboundBytes: 64 << 20}, false, func() Handler { return h })
	addr, err := net.ResolveTCPAddr("tcp", m.addr)
	require.NoError(b, err)
	to := &unix.SockaddrInet4{Port: addr.Port, Addr: [4]byte(addr.IP.To4())}
	request, answer := []byte(raw.Request(m.addr)), make([]byte, 512)
	for range n {
		fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
		require.NoError(b, err)
		m.fds = append(m.fds, fd)
		require.NoError(b, unix.Connect(fd, to))
		_, err = unix.Write(fd, request)
		require.NoError(b, err)
		got, err := unix.Read(fd, answer)
		require.NoError(b, err)
		require.True(b, bytes.HasPrefix(answer[:got], []byte("HTTP/1.1 101 ")))
	}
	b.Cleanup(func() {
		for _, fd := range m.fds {
			_ = unix.Close(fd)
		}
	})
	eventually(b, func() bool { mu.Lock(); defer mu.Unlock(); return len(m.conns) == n }, "all are open")
	return m
}

// opener is a Handler that only hears of Open.
type opener func(Conn)

func (f opener) Open(c Conn)             { f(c) }
func (opener) Message(ws.OpCode, []byte) {}
func (opener) Closed(End)                {}

// drain reads and throws away whatever the clients get, until told to stop.
func (m *members) drain(b *testing.B, got *atomic.Int64) {
	epoll, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	require.NoError(b, err)
	for _, fd := range m.fds {
		require.NoError(b, unix.EpollCtl(epoll, unix.EPOLL_CTL_ADD, fd, &unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(fd)}))
	}
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		events, buf := make([]unix.EpollEvent, 512), make([]byte, 64<<10)
		for {
			select {
			case <-stop:
				return
			default:
			}
			n, _ := unix.EpollWait(epoll, events, 10)
			for i := range max(n, 0) {
				if r, err := unix.Read(int(events[i].Fd), buf); err == nil {
					got.Add(int64(r))
				}
			}
		}
	}()
	b.Cleanup(func() { close(stop); <-stopped; _ = unix.Close(epoll) })
}

// threadTime is the processor time of the calling thread in nanoseconds.
func threadTime(b *testing.B) int64 {
	var t unix.Timespec
	require.NoError(b, unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &t))
	return t.Nano()
}

// BenchmarkFanOut writes one 100-byte message, or a batch, to each of a thousand
// members over loopback, and waits until all have it. cpu-ns is the writer's
// processor time, the kernel's delivery included; floor does the same with bare
// calls of sendto, so that the ratio means something on a busy machine.
func BenchmarkFanOut(b *testing.B) {
	const n = 1000
	for _, batch := range []int{1, 10, 100} {
		for _, floor := range []bool{true, false} {
			b.Run(fmt.Sprintf("frames=%d/floor=%v", batch, floor), func(b *testing.B) {
				m := connectMembers(b, n)
				var got atomic.Int64
				m.drain(b, &got)
				var frame []byte
				for range batch {
					frame = AppendFrame(frame, ws.OpText, []byte(strings.Repeat("x", 100)))
				}
				b.ReportAllocs()
				want, writing := int64(0), int64(0)
				runtime.LockOSThread()
				defer runtime.UnlockOSThread()
				for b.Loop() {
					began := threadTime(b)
					for _, c := range m.conns {
						if floor {
							_, _, _ = unix.RawSyscall6(unix.SYS_SENDTO, uintptr(c.(*epollConn).fd), uintptr(unsafe.Pointer(&frame[0])),
								uintptr(len(frame)), unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL, 0, 0)
						} else {
							c.Write(frame, len(frame))
						}
					}
					writing += threadTime(b) - began
					want += int64(n * len(frame))
					for got.Load() < want {
						runtime.Gosched()
					}
				}
				b.ReportMetric(float64(writing)/float64(b.N)/n, "cpu-ns/member")
				b.ReportMetric(float64(writing)/float64(b.N)/n/float64(batch), "cpu-ns/frame")
			})
		}
	}
}

// BenchmarkIdleConnection reports the Go memory of a connection that has been
// used and is quiet; the kernel's part is about 4 KB more.
func BenchmarkIdleConnection(b *testing.B) {
	const n = 5000
	live := func() float64 {
		runtime.GC()
		runtime.GC()
		var s runtime.MemStats
		runtime.ReadMemStats(&s)
		return float64(s.HeapAlloc + s.StackInuse)
	}
	for b.Loop() {
		connectMembers(b, 1)
		before := live()
		m := connectMembers(b, n)
		m.conns = nil
		message := raw.Bytes(raw.Text("hello"), raw.Ping("x"))
		for _, fd := range m.fds {
			_, err := unix.Write(fd, message)
			require.NoError(b, err)
		}
		eventually(b, func() bool { return m.Stats().Messages.Load() == n }, "everyone's message")
		b.ReportMetric((live()-before)/n, "B/conn")
		runtime.KeepAlive(m)
	}
}
