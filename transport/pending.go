package transport

import (
	"container/list"
	"context"
	"crypto/tls"
	"math"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// pendingPatience is how long a pending connection has its place to itself.
	// A request on its way comes in a round trip, or three with TLS; in a storm
	// its sender may be late.
	pendingPatience = time.Second
	// pendingLook is how often somebody without a place looks for one.
	pendingLook = 10 * time.Millisecond
)

// pending are the connections that net/http has: not WebSockets yet, or never.
// Each holds a descriptor, a goroutine and some kilobytes, and strangers can
// make them last by sending their requests byte by byte. So there is room for
// so many, and when it is full the newcomer takes somebody's place: of the one
// that has idled longest between two requests, or else of the oldest one that
// we wait for, if it is older than pendingPatience. One that waits for us, as
// its request has come and we did not get to it, is left alone: while all do, a
// storm is being served, nothing is accepted, and the kernel's queue holds who
// comes.
//
// No address may have more than a quarter of the places for its requests,
// unless it may speak for many.
type pending struct {
	net.Listener
	most  int
	files int // for all connections together; 0: enough
	stats *Stats

	mu     sync.Mutex
	asking list.List      // of *pendingConn: a request is coming, or being answered; longest first
	idle   list.List      // likewise, between two requests
	parked list.List      // likewise, while Park has them: they take none of the places
	of     map[uint64]int // how many are asking, by addressKey, of those with a limit
	closed bool
	news   chan struct{} // of cap 1: somebody went, or closed is set
}

// pendingConn is a connection in it. It leaves when it is closed or hijacked.
type pendingConn struct {
	net.Conn
	all     *pending
	key     uint64
	limited bool

	head      []byte      // was read of it before net/http got it
	reading   atomic.Bool // we wait for bytes of it
	answering atomic.Bool // a handler runs for it: what we wait for is its next request

	// Under pending.mu.
	since time.Time     // in its list
	in    *list.List    // nil: it has left
	place *list.Element // in in
}

func newPending(l net.Listener, o ListenOptions) *pending {
	if o.Pending <= 0 {
		o.Pending = math.MaxInt
	}
	if o.Stats == nil {
		o.Stats = &Stats{}
	}
	return &pending{
		Listener: l, most: o.Pending, files: o.Files, stats: o.Stats, of: map[uint64]int{}, news: make(chan struct{}, 1),
	}
}

// places is how many may be in now: the fewer the more WebSockets there are. p.mu
// is held.
func (p *pending) places() int {
	if p.files <= 0 {
		return p.most
	}
	left := p.files - int(p.stats.Open[Plain].Load()+p.stats.Open[TLS].Load()) - p.parked.Len()
	return min(p.most, max(left, 1))
}

// Accept implements net.Listener. Its only errors are the listener's own.
func (p *pending) Accept() (net.Conn, error) {
	for {
		nc, err := p.Listener.Accept()
		if err != nil {
			if !p.isClosed() {
				p.stats.AcceptFailures.Add(1)
				p.makeRoom() // it may be the descriptors that ran out
			}
			return nil, err
		}
		if c := p.enter(nc); c != nil {
			return c, nil
		}
	}
}

// Close implements net.Listener. A second call does nothing: net/http closes
// its listener too, unless it has noticed.
func (p *pending) Close() error {
	p.mu.Lock()
	was := p.closed
	p.closed = true
	p.tellNews()
	p.mu.Unlock()
	if was {
		return nil
	}
	return p.Listener.Close()
}

func (p *pending) isClosed() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.closed
}

// enter finds a place for nc, or waits for one. Nil: there is none, and nc is
// closed.
func (p *pending) enter(nc net.Conn) net.Conn {
	from := remoteOf(nc).Addr()
	c := &pendingConn{Conn: nc, all: p, key: addressKey(from), limited: !speaksForMany(from)}
	p.mu.Lock()
	defer p.mu.Unlock()
	if c.limited && p.of[c.key] >= max(1, p.places()/4) {
		p.stats.Refused[RefusedAddressPending].Add(1)
		cut(nc)
		return nil
	}
	for p.asking.Len()+p.idle.Len() >= p.places() {
		if p.evict() {
			continue
		}
		p.await(pendingLook)
		if p.closed {
			cut(nc)
			return nil
		}
	}
	c.join(&p.asking)
	p.stats.Pending.Add(1)
	return c
}

// await waits until somebody went, or for so long. p.mu is held, but for the
// wait.
func (p *pending) await(atMost time.Duration) {
	p.mu.Unlock()
	defer p.mu.Lock()
	t := time.NewTimer(atMost)
	defer t.Stop()
	select {
	case <-p.news:
	case <-t.C:
	}
}

// tellNews ends await. p.mu is held.
func (p *pending) tellNews() {
	select {
	case p.news <- struct{}{}:
	default:
	}
}

// evict closes the connection whose place is the next to be given away, and
// reports whether there is one. p.mu is held.
func (p *pending) evict() bool {
	c, count := p.next()
	if c == nil {
		return false
	}
	count.Add(1)
	c.leave()
	cut(c.Conn)
	return true
}

// next is who gives way next, and where that is counted. p.mu is held.
func (p *pending) next() (*pendingConn, *atomic.Int64) {
	if e := p.idle.Front(); e != nil {
		return e.Value.(*pendingConn), &p.stats.IdleCut
	}
	for e := p.asking.Front(); e != nil; e = e.Next() {
		c := e.Value.(*pendingConn)
		if time.Since(c.since) < pendingPatience {
			break // all behind it are younger
		}
		if c.reading.Load() && !c.answering.Load() {
			return c, &p.stats.Refused[RefusedPending]
		}
	}
	return nil, nil
}

// makeRoom closes one connection, if there is one that may be.
func (p *pending) makeRoom() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.evict()
}

// cut closes a socket without an orderly end, which would keep it in the
// kernel for longer.
func cut(nc net.Conn) {
	if t, ok := nc.(*net.TCPConn); ok {
		_ = t.SetLinger(0)
	}
	_ = nc.Close()
}

// join puts the connection at the end of a list. p.mu is held.
func (c *pendingConn) join(l *list.List) {
	c.since, c.in, c.place = time.Now(), l, l.PushBack(c)
	if c.limited && l == &c.all.asking {
		c.all.of[c.key]++
	}
}

// part takes it out of its list. p.mu is held.
func (c *pendingConn) part() {
	c.in.Remove(c.place)
	if c.limited && c.in == &c.all.asking {
		if c.all.of[c.key]--; c.all.of[c.key] == 0 {
			delete(c.all.of, c.key)
		}
	}
}

// leave gives the place back, once. p.mu is held.
func (c *pendingConn) leave() {
	if c.in == nil {
		return
	}
	c.part()
	c.in, c.place = nil, nil
	c.all.stats.Pending.Add(-1)
	c.all.tellNews()
}

// Read implements net.Conn.
func (c *pendingConn) Read(b []byte) (int, error) {
	if len(c.head) > 0 {
		n := copy(b, c.head)
		c.head = c.head[n:]
		return n, nil
	}
	c.reading.Store(true)
	defer c.reading.Store(false)
	return c.Conn.Read(b)
}

// Close implements net.Conn.
func (c *pendingConn) Close() error {
	c.all.mu.Lock()
	c.leave()
	c.all.mu.Unlock()
	return c.Conn.Close()
}

// pendingOf is the pending connection under nc; nil: it is none.
func pendingOf(nc net.Conn) *pendingConn {
	if t, ok := nc.(*tls.Conn); ok {
		nc = t.NetConn()
	}
	if w, ok := nc.(*wire); ok {
		nc = w.Conn
	}
	c, _ := nc.(*pendingConn)
	return c
}

// pendingContext lets pendingHandler find the connection of a request: it is
// http.Server's ConnContext.
func pendingContext(ctx context.Context, nc net.Conn) context.Context {
	return context.WithValue(ctx, pendingKey{}, pendingOf(nc))
}

type pendingKey struct{}

// pendingHandler marks the connections for which h runs.
func pendingHandler(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if c, _ := r.Context().Value(pendingKey{}).(*pendingConn); c != nil {
			c.answering.Store(true)
			defer c.answering.Store(false)
		}
		h.ServeHTTP(w, r)
	})
}

// pendingState follows what net/http says of a connection: it is http.Server's
// ConnState.
func pendingState(nc net.Conn, s http.ConnState) {
	c := pendingOf(nc)
	if c == nil {
		return
	}
	p := c.all
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case c.in == nil:
	case s == http.StateHijacked:
		c.leave()
	case s == http.StateActive && c.in == &p.idle:
		c.part()
		c.join(&p.asking)
	case s == http.StateIdle && c.in == &p.asking:
		c.part()
		c.join(&p.idle)
		p.tellNews() // one that may be closed at once
	}
}

// Park gives the place back that the connection of a request has among those
// that are pending, until unpark is called: its handler waits for something
// else than its client, and whoever calls this bounds how many do. Ctx is the
// request's.
func Park(ctx context.Context) (unpark func()) {
	c, _ := ctx.Value(pendingKey{}).(*pendingConn)
	if c == nil { // of a server without such a bound
		return func() {}
	}
	p := c.all
	move := func(from, to *list.List) {
		p.mu.Lock()
		defer p.mu.Unlock()
		if c.in == from {
			c.part()
			c.join(to)
			p.tellNews()
		}
	}
	move(&p.asking, &p.parked)
	return func() { move(&p.parked, &p.asking) }
}
