package transport

import (
	"crypto/tls"
	"net"
	"sync"
	"time"
)

// goroutines serve each connection from a goroutine of its own: on systems
// without epoll, for sockets that no event loop can take over, and where asked
// for.
type goroutines struct {
	srv *Server

	mu       sync.Mutex
	conns    map[*goConn]struct{}
	sweeping bool // sweep runs; it does while there are connections
	stopped  chan struct{}
	done     sync.WaitGroup
}

// goConn is a connection with a goroutine that reads, run, and, while something
// waits to be written, a second one, relay.
type goConn struct {
	conn
	all *goroutines
	nc  net.Conn // of TLS too: it encrypts by itself, conn.tls is nil

	soon []func() // for when what was read is passed on; owned by run

	// Under conn.mu.
	news     sync.Cond // the phase or held has changed
	relaying bool
	left     uint8 // ticks until it is due; 0: never
	timed    phase // as in epollConn
}

var _ Conn = (*goConn)(nil)

// relayBytes is what one write of relay takes at most, and what may wait before
// a connection counts as blocked: the kernel can't be asked here.
const relayBytes = 16 << 10

var relayBuffers = sync.Pool{New: func() any { return new([relayBytes]byte) }}

func newGoroutines(s *Server) *goroutines {
	return &goroutines{srv: s, conns: map[*goConn]struct{}{}, stopped: make(chan struct{})}
}

// serve takes over any connection whose handshake is to be answered.
func (g *goroutines) serve(nc net.Conn, answer, early []byte, h Handler) {
	_ = nc.SetDeadline(time.Time{}) // that of the handshake
	c := &goConn{all: g, nc: nc}
	c.srv, c.sock, c.h = g.srv, c, h
	c.slack = relayBytes
	c.remote = remoteOf(nc)
	if _, ok := nc.(*tls.Conn); ok {
		c.kind = TLS
	}
	c.news.L = &c.mu
	c.left = g.srv.clock.interval
	g.srv.opened(c.kind)
	g.mu.Lock()
	g.conns[c] = struct{}{}
	if !g.sweeping {
		g.sweeping = true
		g.done.Go(g.sweep)
	}
	g.mu.Unlock()
	g.done.Go(func() { c.run(answer, early) })
}

func (g *goroutines) each(f func(*conn)) {
	for _, c := range g.snapshot() {
		f(&c.conn)
	}
}

func (g *goroutines) snapshot() []*goConn {
	g.mu.Lock()
	defer g.mu.Unlock()
	all := make([]*goConn, 0, len(g.conns))
	for c := range g.conns {
		all = append(all, c)
	}
	return all
}

func (g *goroutines) stop() {
	close(g.stopped)
	g.done.Wait()
}

// sweep counts down for all connections, until there are none.
func (g *goroutines) sweep() {
	ticker := time.NewTicker(g.srv.clock.tick)
	defer ticker.Stop()
	for {
		select {
		case <-g.stopped:
			return
		case <-ticker.C:
		}
		for _, c := range g.snapshot() {
			c.countDown()
		}
		g.mu.Lock()
		if len(g.conns) == 0 {
			g.sweeping = false
			g.mu.Unlock()
			return
		}
		g.mu.Unlock()
	}
}

// countDown is one tick of a connection.
func (c *goConn) countDown() {
	c.mu.Lock()
	if p := c.now(); p != open && c.timed != p {
		c.timed, c.left = p, c.srv.clock.closing
	}
	if c.left == 0 && c.now() == open && !c.isHeld() { // it was held
		c.pinged, c.left = false, c.srv.clock.interval
	}
	zero := c.left == 1
	if c.left > 0 {
		c.left--
	}
	if zero {
		c.left = c.expired()
	}
	c.mu.Unlock()
}

// Quiet implements Conn.
func (c *goConn) Quiet(tell func(time.Duration, bool)) {
	go func() {
		c.mu.Lock()
		d, known := c.srv.clock.quiet(c.left, c.pinged)
		known = known && c.now() == open
		c.mu.Unlock()
		tell(d, known)
	}()
}

// The socket of a connection: conn.mu is held.

// send leaves everything to relay.
func (c *goConn) send([]byte) (int, error) {
	if !c.relaying {
		c.relaying = true
		c.all.done.Go(c.relay)
	}
	return 0, nil
}

func (c *goConn) endWrites() {
	type halfCloser interface{ CloseWrite() error }
	if t, ok := c.nc.(*tls.Conn); !ok {
		if h, ok := bare(c.nc).(halfCloser); ok {
			_ = h.CloseWrite()
		}
	} else {
		c.all.done.Go(func() { // an alert may have to wait for the peer
			_ = t.CloseWrite()
			if h, ok := bare(t).(halfCloser); ok {
				_ = h.CloseWrite()
			}
		})
	}
}

// wake makes the connection's goroutine look: out of its wait, and when all is
// over, out of its read.
func (c *goConn) wake() {
	c.news.Broadcast()
	if c.now() == over {
		raw := bare(c.nc)
		if tcp, ok := raw.(*net.TCPConn); ok && c.reset {
			_ = tcp.SetLinger(0)
		}
		_ = raw.Close()
	}
}

// bare is the socket itself: its Close does not wait, a tls.Conn's may.
func bare(nc net.Conn) net.Conn {
	if t, ok := nc.(*tls.Conn); ok {
		nc = t.NetConn()
	}
	if w, ok := nc.(*wire); ok {
		nc = w.Conn
	}
	if p, ok := nc.(*pendingConn); ok {
		nc = p.Conn
	}
	return nc
}

// relay writes what waits until nothing does.
func (c *goConn) relay() {
	buf := relayBuffers.Get().(*[relayBytes]byte)
	defer relayBuffers.Put(buf)
	stats := &c.srv.stats
	c.mu.Lock()
	defer c.mu.Unlock()
	defer func() { c.relaying = false }()
	for c.out != nil {
		some := buf[:copy(buf[:], c.out.bytes())]
		c.mu.Unlock()
		n, err := c.nc.Write(some)
		c.mu.Lock()
		stats.Writes.Add(1)
		stats.BytesOut.Add(int64(n))
		if err != nil {
			c.fail(err)
			return
		}
		if c.out == nil {
			return
		}
		c.flushed(n)
	}
}

// run serves the connection.
func (c *goConn) run(answer, early []byte) {
	c.reply(answer)
	c.h.Open(c)
	c.runSoon()
	c.take(early)
	buf := make([]byte, 4<<10)
	for c.awaitResume() {
		n, err := c.nc.Read(buf)
		if n > 0 {
			c.srv.stats.Reads.Add(1)
			c.srv.stats.BytesIn.Add(int64(n))
			c.heard()
			c.take(buf[:n])
		}
		if err != nil {
			c.endOfStream(err)
			break
		}
	}
	c.mu.Lock()
	for c.now() != over { // the peer may still be reading what it is owed
		c.news.Wait()
	}
	c.mu.Unlock()
	c.tell()
	_ = bare(c.nc).Close()
	c.all.mu.Lock()
	delete(c.all.conns, c)
	c.all.mu.Unlock()
	c.srv.released(c.kind)
}

// take feeds b, with a wait wherever the connection is held.
func (c *goConn) take(b []byte) {
	for len(b) > 0 && c.awaitResume() {
		b = c.feed(b)
		c.runSoon()
	}
}

// Soon implements Conn.
func (c *goConn) Soon(f func()) { c.soon = append(c.soon, f) }

func (c *goConn) runSoon() {
	for i := 0; i < len(c.soon); i++ {
		c.soon[i]()
	}
	clear(c.soon)
	c.soon = c.soon[:0]
}

// awaitResume waits while the connection is held; false: it is over. An end
// that the peer brings about meanwhile is not seen before: nobody reads.
func (c *goConn) awaitResume() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	for c.isHeld() {
		c.news.Wait()
	}
	return c.now() != over
}

// heard restarts the countdown of silence.
func (c *goConn) heard() {
	c.mu.Lock()
	if c.now() == open {
		c.pinged, c.left = false, c.srv.clock.interval
	}
	c.mu.Unlock()
}
