package transport

import (
	"crypto/tls"
	"errors"
	"io"
	"math"
	"net/netip"
	"sync"
	"sync/atomic"

	"github.com/gobwas/ws"
)

// phase is where a connection stands. It only grows.
type phase uint32

const (
	open      phase = iota // frames flow both ways
	closing                // our close frame is queued; the peer's is awaited, what else it sends is discarded
	broken                 // a write failed; what the peer still said is read, it may be a close frame
	finishing              // our last byte is queued; then the end of the stream is told, and the peer's awaited
	over                   // the socket may be closed
)

// Why a connection is not read.
const (
	heldByOwner   = 1 << iota // Pause
	heldByBacklog             // Options.ThrottleBytes
)

// socket is what a conn needs of the socket under it, plain bytes out. All of
// it is called with conn.mu held and never blocks.
type socket interface {
	// send gives the kernel as much of b as it takes; less than all of it
	// without an error means that flush has to be called later.
	send(b []byte) (int, error)
	// endWrites tells the peer that no byte follows.
	endWrites()
	// wake has the connection's goroutine look at the phase soon.
	wake()
}

// conn is the part of a connection that is the same for every kind of socket:
// what frames mean, what is queued, and how it ends.
//
// One goroutine serves it: the event loop that holds its socket, or its own.
// Only that one calls feed, endOfStream, expired and tell; anyone calls the methods
// of Conn.
type conn struct {
	// Set before it is served, then never changed.
	srv    *Server
	sock   socket
	tls    *tls.Conn // not nil: encrypts what is written, through seal
	remote netip.AddrPort
	kind   Kind
	slack  int32 // bytes that may wait before there is a backlog to speak of

	// Owned by the serving goroutine.
	pinged bool    // no byte came since our ping
	most   int32   // bytes of a message, see LimitMessage; 0: Options.MessageBytes
	h      Handler // nil once Closed was called
	in     assembler
	even   int64 // see rate

	// Changed under mu, read anywhere.
	state atomic.Uint32 // a phase
	held  atomic.Uint32 // heldBy bits

	mu      sync.Mutex
	corked  bool     // writes are collected in out
	blocked bool     // the kernel did not take everything
	local   bool     // Close was called, with code
	atEOF   bool     // the peer has ended its stream
	moved   bool     // a backlog shrank since the countdown began
	ended   bool     // sock.endWrites was called
	reset   bool     // what the kernel still holds for the peer is not worth keeping
	code    uint16   // of our close frame
	extra   int32    // bytes that may wait besides OutboundBytes: of a single larger Write, or of Answers
	out     *backlog // nil: empty
	end     *End     // nil: not yet decided
}

func (c *conn) now() phase        { return phase(c.state.Load()) }
func (c *conn) set(p phase)       { c.state.Store(uint32(p)) }
func (c *conn) isHeld() bool      { return c.held.Load() != 0 && c.now() == open }
func (c *conn) hold(why uint32)   { c.held.Store(c.held.Load() | why) }
func (c *conn) unhold(why uint32) { c.held.Store(c.held.Load() &^ why) }

// LimitMessage lets one message of a WebSocket be that many bytes, in place of
// Options.MessageBytes: where a layer above takes part of it, and has a limit of
// its own for the rest. To be called from Handler.Open.
func LimitMessage(c Conn, bytes int) {
	if l, ok := c.(interface{ limitMessage(bytes int) }); ok {
		l.limitMessage(bytes)
	}
}

func (c *conn) limitMessage(bytes int) { c.most = int32(min(bytes, math.MaxInt32)) }

func (c *conn) Remote() netip.AddrPort { return c.remote }

func (c *conn) Write(b []byte, must int) {
	c.mu.Lock()
	switch {
	case c.now() != open || len(b) == 0:
	case len(b) > c.srv.opts.OutboundBytes && c.extra == 0:
		c.writeLarge(b, max(must, 0))
	default:
		c.write(b, max(must, 0))
	}
	c.mu.Unlock()
}

// writeLarge queues what is by itself more than may wait: a room's snapshot
// must not cut the one who asked for it. Until all is read it does not count,
// and a second one does.
func (c *conn) writeLarge(b []byte, must int) {
	c.extra = math.MaxInt32
	c.write(b, must)
	if c.extra = 0; c.out.size() > c.srv.opts.OutboundBytes {
		c.extra = int32(min(c.out.size(), math.MaxInt32))
	}
}

// answersBytes is how much of Answers may wait, in Options.OutboundBytes.
const answersBytes = 16

// Answer is Write of something that the peer asked for. Whoever comes back to
// ten rooms asks for ten snapshots at once, and is not slow as long as it reads
// them: what waits of them does not count, up to answersBytes.
func (c *conn) Answer(b []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.now() != open || len(b) == 0 {
		return
	}
	may := int(c.extra) + len(b)
	if c.extra > 0 { // the first may be of any size
		may = min(may, max(int(c.extra), answersBytes*c.srv.opts.OutboundBytes))
	}
	c.extra = int32(min(may, math.MaxInt32))
	c.write(b, len(b))
	c.extra = int32(min(int(c.extra), c.out.size()))
}

func (c *conn) Close(code uint16, reason string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.now() != open {
		return
	}
	c.local, c.code = true, sendable(code)
	c.set(closing)
	c.held.Store(0)
	var room [ws.MaxControlFramePayloadSize + 2]byte
	frame := appendClose(room[:0], c.code, reason)
	c.write(frame, len(frame))
	c.sock.wake()
}

func (c *conn) Pause() {
	c.mu.Lock()
	if c.now() == open {
		c.hold(heldByOwner)
	}
	c.mu.Unlock()
}

func (c *conn) Resume() {
	c.mu.Lock()
	if c.held.Load()&heldByOwner != 0 {
		c.unhold(heldByOwner)
		c.sock.wake()
	}
	c.mu.Unlock()
}

// write queues frames, through TLS where there is one. Here and below mu is
// held.
func (c *conn) write(b []byte, must int) {
	if must < len(b) && c.blocked && c.out.size() > int(c.slack) {
		c.drop(b[must:])
		if b = b[:must]; len(b) == 0 {
			return
		}
	}
	if c.tls != nil {
		_, _ = c.tls.Write(b) // ends in seal; what fails is found there
		return
	}
	c.queue(b, must)
}

// seal takes encrypted records; the write side of the tls.Conn's socket.
func (c *conn) seal(b []byte) {
	if p := c.now(); p != over && p != broken {
		c.queue(b, len(b))
	}
}

// queue sends b, or what the socket will not take of it later.
func (c *conn) queue(b []byte, must int) {
	if c.out == nil && !c.corked {
		n, err := c.sock.send(b)
		if err != nil {
			c.fail(err)
			return
		}
		if n == len(b) {
			return
		}
		c.block()
		keep := must
		if n > must { // finish the frame that has begun
			_, boundary := frames(b[must:], n-must)
			keep += boundary
		}
		if c.slack == 0 && keep < len(b) {
			c.drop(b[keep:])
			b = b[:keep]
		}
		b = b[n:]
	}
	if len(b) == 0 {
		return
	}
	if c.out == nil {
		c.out = newBacklog()
	}
	c.out.add(b)
	o := &c.srv.opts
	if c.corked && !c.blocked && c.out.size() >= min(keepBytes, o.OutboundBytes) {
		c.flush() // what was only collected is no backlog
	}
	if c.now() != open || c.out.size() <= min(o.OutboundBytes, o.ThrottleBytes) {
		return
	}
	if c.out.size() > o.OutboundBytes+int(c.extra) {
		c.reset = true
		c.cut(End{Cause: Slow, Code: codeAbnormal})
		return
	}
	c.hold(heldByBacklog)
}

func (c *conn) block() {
	if !c.blocked {
		c.blocked = true
		c.srv.stats.Blocked.Add(1)
	}
}

// drop counts optional frames that are not sent.
func (c *conn) drop(b []byte) {
	if len(b) == 0 {
		return
	}
	n, _ := frames(b, 0)
	c.srv.stats.DroppedFrames.Add(int64(n))
	c.srv.stats.DroppedBytes.Add(int64(len(b)))
}

// flush sends what waits, as far as the socket takes it.
func (c *conn) flush() {
	if c.out != nil {
		n, err := c.sock.send(c.out.bytes())
		if err != nil {
			c.fail(err)
			return
		}
		c.flushed(n)
	}
}

// flushed is what follows when n bytes of out have gone.
func (c *conn) flushed(n int) {
	c.moved = n > 0
	c.out.sent(n)
	left := c.out.size()
	if left == 0 {
		c.forget()
		if c.now() == finishing {
			c.lastSent()
		}
	} else {
		c.extra = int32(min(int(c.extra), left))
		c.block()
	}
	if c.held.Load()&heldByBacklog != 0 && left <= c.srv.opts.ThrottleBytes/2 {
		c.unhold(heldByBacklog)
		c.sock.wake()
	}
}

// forget drops the backlog.
func (c *conn) forget() {
	if c.out != nil {
		c.out.recycle()
		c.out = nil
	}
	c.blocked, c.extra = false, 0
}

// lastSent is the state after our last byte.
func (c *conn) lastSent() {
	if !c.ended {
		c.ended = true
		c.sock.endWrites()
	}
	if c.atEOF {
		c.set(over)
		c.sock.wake()
	}
}

// fail is a write that did not work.
func (c *conn) fail(err error) {
	switch c.now() {
	case open:
		c.settle(End{Cause: Lost, Code: codeAbnormal, Err: err})
		if c.isHeld() { // then nothing more may be read
			c.set(over)
		} else {
			c.set(broken)
		}
	case closing, finishing:
		c.settle(End{Cause: Lost, Code: codeAbnormal, Err: err})
		c.set(over)
	default:
		return
	}
	c.forget()
	c.sock.wake()
}

// cut ends the connection without another byte.
func (c *conn) cut(e End) {
	if c.now() == over {
		return
	}
	c.settle(e)
	c.set(over)
	c.forget()
	c.sock.wake()
}

// settle decides the end, unless it is decided.
func (c *conn) settle(e End) {
	if c.end != nil {
		return
	}
	if c.local {
		e = End{Cause: Local, Code: c.code}
	}
	c.end = &e
}

// cork collects writes, from whomever, until uncork.
func (c *conn) cork() {
	c.mu.Lock()
	c.corked = true
	c.mu.Unlock()
}

func (c *conn) uncork() {
	c.mu.Lock()
	c.corked = false
	if !c.blocked {
		c.flush()
	}
	c.mu.Unlock()
}

// The rest is for the serving goroutine, without mu.

// reply sends the answer to the handshake.
func (c *conn) reply(answer []byte) {
	c.mu.Lock()
	c.write(answer, len(answer))
	c.mu.Unlock()
}

// feed takes bytes of the peer and does what they say. It returns those that
// have to wait because the connection is held.
func (c *conn) feed(b []byte) (rest []byte) {
	var messages int64
	corked, lim := false, c.srv.limits
	if c.most > 0 {
		lim.message = int64(c.most)
	}
	for len(b) > 0 && c.now() < finishing {
		if c.isHeld() {
			rest = b
			break
		}
		ev, n, bad := c.in.next(b, lim)
		b = b[n:]
		if bad != noBreach {
			c.breach(bad)
			break
		}
		if ev.op == 0 {
			continue
		}
		if len(b) > 0 && !corked { // more than one event: more than one answer, perhaps
			corked = true
			c.cork()
		}
		if ev.op.IsControl() {
			c.control(ev)
			continue
		}
		messages++
		if c.now() != closing {
			c.h.Message(ev.op, ev.payload)
		}
	}
	if corked {
		c.uncork()
	}
	if messages > 0 {
		c.srv.stats.Messages.Add(messages)
	}
	return rest
}

// control handles a control frame (RFC 6455 §5.5).
func (c *conn) control(ev event) {
	s := c.srv
	if ev.op == ws.OpClose {
		c.peerClose(ev.payload)
		return
	}
	if s.rate.every > 0 && !s.rate.allow(s.nanos(), &c.even) {
		c.breach(BreachControlRate)
		return
	}
	if ev.op == ws.OpPong {
		s.stats.Pongs.Add(1)
		return
	}
	s.stats.Pings.Add(1)
	var room [ws.MaxControlFramePayloadSize + 2]byte
	pong := AppendFrame(room[:0], ws.OpPong, ev.payload)
	c.Write(pong, len(pong))
}

// peerClose answers a close frame with its code (§5.5.1).
func (c *conn) peerClose(payload []byte) {
	code, bad := readClose(payload)
	if bad != noBreach {
		c.breach(bad)
		return
	}
	var room [4]byte
	c.finish(End{Cause: PeerClosed, Code: code}, appendClose(room[:0], code, ""))
}

// breach fails the connection (§7.1.7): farewell, close frame, orderly end.
func (c *conn) breach(bad Breach) {
	s := c.srv
	s.stats.Violations[bad].Add(1)
	var last []byte
	if s.opts.Farewell != nil && c.now() == open {
		last = append(last, s.opts.Farewell(c.h, bad.Code())...)
	}
	last = appendClose(last, bad.Code(), bad.Error())
	c.finish(End{Cause: Violation, Code: bad.Code(), Err: bad}, last)
}

// finish ends the connection in order, last being the last frames unless Close
// has sent its own.
func (c *conn) finish(e End, last []byte) {
	c.mu.Lock()
	was := c.now()
	if was == broken { // a close frame that came while our writes failed says more than the failure
		c.end = nil
	}
	c.settle(e)
	switch was {
	case open, closing:
		c.set(finishing)
		c.held.Store(0)
		c.in = assembler{}
		if was == open && len(last) > 0 {
			c.write(last, len(last))
		}
		if c.tls != nil && c.now() == finishing {
			_ = c.tls.CloseWrite()
		}
		c.corked = false
		if c.now() == finishing && !c.blocked {
			c.flush()
		}
		if c.now() == finishing && c.out == nil {
			c.lastSent()
		}
	case broken:
		c.set(over)
	}
	c.mu.Unlock()
	c.tell()
}

// endOfStream is the end of what the peer sends: err is nil or io.EOF when the peer
// ended it, and then may still read what it is owed.
func (c *conn) endOfStream(err error) {
	c.mu.Lock()
	c.atEOF = true
	clean := err == nil || errors.Is(err, io.EOF)
	p := c.now()
	if !clean || p == broken || (p == finishing && c.out == nil) {
		c.settle(End{Cause: Lost, Code: codeAbnormal, Err: err})
		c.set(over)
	}
	c.mu.Unlock()
	if p < finishing && c.now() != over {
		c.finish(End{Cause: Lost, Code: codeAbnormal, Err: io.EOF}, nil)
	}
	c.tell()
}

// expired is a countdown that reached zero; it returns the next one. mu is held.
func (c *conn) expired() (ticks uint8) {
	if c.isHeld() {
		return 0
	}
	s := c.srv
	switch onZero(c.now(), c.pinged) {
	case duePing:
		c.pinged = true
		s.stats.Heartbeats.Add(1)
		c.write(ws.CompiledPing, len(ws.CompiledPing))
		return s.clock.timeout
	case dueSilent:
		c.cut(End{Cause: Silent, Code: codeAbnormal})
	case dueCut:
		if c.moved && c.out != nil { // it still reads what it is owed
			c.moved = false
			return s.clock.closing
		}
		s.stats.CloseTimeouts.Add(1)
		c.cut(End{Cause: Local, Code: c.code})
	}
	return 0
}

// abandon cuts the connection at shutdown, with a close frame if it can.
func (c *conn) abandon() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.now() == open {
		c.local, c.code = true, uint16(ws.StatusGoingAway)
		c.set(closing)
		c.corked = false
		c.write(ws.CompiledCloseGoingAway, len(ws.CompiledCloseGoingAway))
	}
	c.cut(End{Cause: Local, Code: c.code})
}

// tell gives the end to the handler, once it is decided, once. A failed write
// is not told before the rest was read.
func (c *conn) tell() {
	if c.h == nil || c.now() == broken {
		return
	}
	c.mu.Lock()
	e := c.end
	c.mu.Unlock()
	if e == nil {
		return
	}
	h := c.h
	c.h = nil
	c.in = assembler{}
	c.srv.stats.Ended[e.Cause].Add(1)
	h.Closed(*e)
}
