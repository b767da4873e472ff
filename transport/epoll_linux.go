package transport

import (
	"bytes"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

const (
	readBytes    = 64 << 10 // the read buffer that the connections of a loop share
	readsPerTurn = 16       // then the others have their turn
	sendBytes    = 16 << 10 // what one call to the kernel writes at most
	sendsPerTurn = 64       // then likewise
	eventsAtOnce = 256

	// In place of a slot in an event.
	wakeSlot = -1 // the eventfd
	tickSlot = -2 // the timerfd
)

// loops are the event loops of a Server.
type loops struct {
	all  []*loop
	next atomic.Uint32
	done sync.WaitGroup
}

// loop serves its share of the connections from one goroutine, which alone
// reads them, calls their handlers and closes their descriptors.
//
// It waits in the runtime's poller, in which the epoll descriptor is one more
// descriptor: a goroutine that waits there leaves its processor to the others,
// one that blocks in epoll_wait keeps it until the scheduler notices.
type loop struct {
	srv   *Server
	epoll int
	event int // eventfd: ends the wait
	timer int // timerfd: one expiry is one tick

	file *os.File        // of epoll
	raw  syscall.RawConn // of file
	look func(uintptr) bool

	// Owned by the loop's goroutine.
	slots   []slot
	free    []uint32
	ticks   []uint8      // by slot: ticks until the connection is due; 0: never
	ticking bool         // the timer runs
	ticked  bool         // in this turn
	ready   []*epollConn // that have more to read
	soon    []func()     // for the end of this turn
	spare   []*epollConn // the inbox of the turn before, emptied
	again   []*epollConn // the ready of the turn before, emptied
	buf     []byte
	events  [eventsAtOnce]unix.EpollEvent
	n       int // how many of them are there
	looks   int // polls in this wait

	mu       sync.Mutex
	asleep   bool // waiting, and the eventfd not yet written
	inbox    []*epollConn
	calls    []func()
	stopping bool
}

// slot holds a connection. Events name slot and generation, never the
// descriptor, whose number is used again at once.
type slot struct {
	c          *epollConn
	generation uint32
}

// epollConn is a connection in a loop.
type epollConn struct {
	conn
	loop  *loop
	stash *stash // bytes read but held; owned by the loop
	fd    int32  // -1 once closed; under conn.mu
	slot  int32  // -1 until Open; owned by the loop, as the flags up to queued

	timed   phase // the phase whose countdown runs: closing, finishing, or open for none
	hup     bool  // an event told of an end: read on until it is seen
	inReady bool
	queued  bool // in inbox; under conn.mu
}

var _ Conn = (*epollConn)(nil)

// stash is what a connection rarely has, but at its start.
type stash struct {
	b      []byte
	answer []byte // to the handshake; until Open
}

func newLoops(s *Server) (driver, error) {
	ls := &loops{}
	for range s.opts.Loops {
		l, err := newLoop(s)
		if err != nil {
			ls.stop()
			return nil, err
		}
		ls.all = append(ls.all, l)
		ls.done.Go(l.run)
	}
	return ls, nil
}

func newLoop(s *Server) (l *loop, err error) {
	l = &loop{srv: s, epoll: -1, event: -1, timer: -1, buf: make([]byte, readBytes)}
	defer func() {
		if err != nil {
			l.closeDescriptors()
		}
	}()
	if l.epoll, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
		return nil, err
	}
	if l.event, err = unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK); err != nil {
		return nil, err
	}
	if l.timer, err = unix.TimerfdCreate(unix.CLOCK_MONOTONIC, unix.TFD_CLOEXEC|unix.TFD_NONBLOCK); err != nil {
		return nil, err
	}
	for fd, slot := range map[int]int32{l.event: wakeSlot, l.timer: tickSlot} {
		err = unix.EpollCtl(l.epoll, unix.EPOLL_CTL_ADD, fd, &unix.EpollEvent{Events: unix.EPOLLIN | unix.EPOLLET, Fd: slot})
		if err != nil {
			return nil, err
		}
	}
	if err = unix.SetNonblock(l.epoll, true); err != nil { // for os.NewFile to use the poller
		return nil, err
	}
	l.file = os.NewFile(uintptr(l.epoll), "epoll")
	if l.raw, err = l.file.SyscallConn(); err != nil {
		return nil, err
	}
	// So that waiting is waiting: an error if the poller did not take the file.
	if err = l.file.SetReadDeadline(time.Time{}); err != nil {
		return nil, err
	}
	l.look = func(uintptr) bool {
		l.looks++
		l.n = l.poll()
		return l.n > 0
	}
	return l, nil
}

func (l *loop) closeDescriptors() {
	if l.file != nil {
		_ = l.file.Close()
	} else if l.epoll >= 0 {
		_ = unix.Close(l.epoll)
	}
	for _, fd := range []int{l.event, l.timer} {
		if fd >= 0 {
			_ = unix.Close(fd)
		}
	}
}

// adopt duplicates the descriptor and closes nc, which takes it out of the
// runtime's own poller (two would wake for every packet) and frees what a
// net.Conn weighs. The connection itself stays up.
func (ls *loops) adopt(nc net.Conn, answer, early []byte, h Handler) (bool, error) {
	tcp, _ := bare(nc).(*net.TCPConn)
	if tcp == nil {
		return false, nil
	}
	var w *wire
	secure, _ := nc.(*tls.Conn)
	if secure != nil {
		if w, _ = secure.NetConn().(*wire); w == nil {
			return false, nil
		}
	}
	fd, err := duplicate(tcp)
	switch {
	case errors.Is(err, unix.EMFILE): // the one that it has will do
		return false, nil
	case err != nil:
		return true, err
	}
	l := ls.all[ls.next.Add(1)%uint32(len(ls.all))]
	c := &epollConn{loop: l, fd: int32(fd), slot: -1}
	c.srv, c.sock, c.h, c.tls = l.srv, c, h, secure
	c.remote = remoteOf(tcp)
	if secure != nil {
		c.kind = TLS
		w.raw, w.Conn = c, nil
	}
	c.stash = &stash{b: early, answer: answer}
	_ = tcp.Close()
	l.srv.opened(c.kind)
	c.mu.Lock()
	c.wake()
	c.mu.Unlock()
	return true, nil
}

func duplicate(tcp *net.TCPConn) (fd int, err error) {
	rc, err := tcp.SyscallConn()
	if err != nil {
		return -1, err
	}
	err2 := rc.Control(func(old uintptr) {
		fd, err = unix.FcntlInt(old, unix.F_DUPFD_CLOEXEC, 0)
	})
	return fd, errors.Join(err, err2)
}

func (ls *loops) each(f func(*conn)) {
	for _, l := range ls.all {
		l.call(func() {
			for _, s := range l.slots {
				if s.c != nil {
					f(&s.c.conn)
				}
			}
		})
	}
}

func (ls *loops) stop() {
	for _, l := range ls.all {
		l.mu.Lock()
		l.stopping = true
		l.rouse()
		l.mu.Unlock()
	}
	ls.done.Wait()
}

// call has the loop's goroutine run f.
func (l *loop) call(f func()) {
	l.mu.Lock()
	l.calls = append(l.calls, f)
	l.rouse()
	l.mu.Unlock()
}

// rouse ends the loop's wait. l.mu is held.
func (l *loop) rouse() {
	if l.asleep {
		l.asleep = false
		one := uint64(1)
		_, _, _ = unix.RawSyscall(unix.SYS_WRITE, uintptr(l.event), uintptr(unsafe.Pointer(&one)), 8)
	}
}

// The socket of a connection: conn.mu is held.

func (c *epollConn) send(b []byte) (sent int, err error) {
	if c.fd < 0 {
		return len(b), nil
	}
	for sent < len(b) {
		if sent >= sendsPerTurn*sendBytes { // a fast peer: others have their turn
			c.wake()
			return sent, nil
		}
		// In pieces: one of the size of the send buffer would stay there until the
		// peer acknowledges it, and over loopback, where it is a single segment,
		// that may take the 40 ms of a delayed acknowledgement.
		piece := b[sent:min(len(b), sent+sendBytes)]
		n, _, errno := unix.RawSyscall6(unix.SYS_SENDTO, uintptr(c.fd), uintptr(unsafe.Pointer(unsafe.SliceData(piece))),
			uintptr(len(piece)), unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL, 0, 0)
		switch errno {
		case 0:
			sent += int(n)
			c.srv.stats.Writes.Add(1)
			c.srv.stats.BytesOut.Add(int64(n))
			if int(n) < len(piece) {
				return sent, nil
			}
		case unix.EAGAIN:
			return sent, nil
		case unix.EINTR:
		default:
			return sent, errno
		}
	}
	return sent, nil
}

func (c *epollConn) endWrites() {
	if c.fd >= 0 {
		_ = unix.Shutdown(int(c.fd), unix.SHUT_WR)
	}
}

func (c *epollConn) wake() {
	if c.queued || c.fd < 0 {
		return
	}
	c.queued = true
	l := c.loop
	l.mu.Lock()
	l.inbox = append(l.inbox, c)
	l.rouse()
	l.mu.Unlock()
}

// Quiet implements Conn.
func (c *epollConn) Quiet(tell func(time.Duration, bool)) {
	l := c.loop
	l.call(func() {
		if c.slot < 0 || c.fd < 0 || c.now() != open {
			tell(0, false)
			return
		}
		tell(l.srv.clock.quiet(l.ticks[c.slot], c.pinged))
	})
}

// Soon implements Conn.
func (c *epollConn) Soon(f func()) { c.loop.soon = append(c.loop.soon, f) }

// receive reads what is there; errAgain when nothing is, io.EOF at the end.
func (c *epollConn) receive(b []byte) (int, error) { return c.recv(b, 0) }

func (c *epollConn) recv(b []byte, flags uintptr) (int, error) {
	for {
		n, _, errno := unix.RawSyscall6(unix.SYS_RECVFROM, uintptr(c.fd), uintptr(unsafe.Pointer(unsafe.SliceData(b))),
			uintptr(len(b)), unix.MSG_DONTWAIT|flags, 0, 0)
		switch {
		case errno == unix.EAGAIN:
			return 0, errAgain
		case errno == unix.EINTR:
		case errno != 0:
			return 0, errno
		case n == 0:
			return 0, io.EOF
		default:
			return int(n), nil
		}
	}
}

// The rest runs on the loop's goroutine.

func (l *loop) run() {
	defer l.closeDescriptors()
	observe := l.srv.opts.ObserveTurn
	var began time.Time
	for {
		n := l.wait()
		if observe != nil {
			began = time.Now()
		}
		going := l.takeInbox()
		if going {
			for i := range n {
				l.handle(&l.events[i])
			}
			l.readOn()
		}
		l.runSoon()
		if !going {
			return
		}
		if l.ticked {
			l.ticked = false
			l.sweep()
		}
		if observe != nil {
			observe(time.Since(began))
		}
	}
}

// runSoon does what was left for the end of the turn.
func (l *loop) runSoon() {
	for i := 0; i < len(l.soon); i++ { // which may leave more
		l.soon[i]()
	}
	clear(l.soon)
	l.soon = l.soon[:0]
}

// wait returns how many events there are. It does not wait while something else
// is to be done, and lets other goroutines run in any case.
func (l *loop) wait() int {
	l.mu.Lock()
	busy := len(l.ready) > 0 || len(l.inbox) > 0 || len(l.calls) > 0 || l.stopping
	l.asleep = !busy
	l.mu.Unlock()
	if busy {
		runtime.Gosched()
		return l.poll()
	}
	l.looks = 0
	_ = l.raw.Read(l.look) // fails only once the file is closed, by run
	l.mu.Lock()
	l.asleep = false
	l.mu.Unlock()
	if l.looks == 1 {
		runtime.Gosched()
	}
	return l.n
}

// poll asks for events without waiting.
func (l *loop) poll() int {
	n, _, errno := unix.RawSyscall6(unix.SYS_EPOLL_PWAIT, uintptr(l.epoll), uintptr(unsafe.Pointer(&l.events)), eventsAtOnce, 0, 0, 0)
	if errno != 0 {
		return 0
	}
	return int(n)
}

// takeInbox does what other goroutines asked for; false: stop.
func (l *loop) takeInbox() bool {
	l.mu.Lock()
	inbox, calls, stopping := l.inbox, l.calls, l.stopping
	l.inbox, l.calls = l.spare, nil
	l.mu.Unlock()
	for i, c := range inbox {
		inbox[i] = nil
		c.mu.Lock()
		c.queued = false
		gone := c.fd < 0
		c.mu.Unlock()
		switch {
		case gone:
		case c.slot < 0:
			l.register(c)
		default:
			l.attend(c)
		}
	}
	l.spare = inbox[:0]
	for _, f := range calls {
		f()
	}
	return !stopping
}

// register takes a connection in: the answer to its handshake and Open, in one
// write, then its events, then the bytes that came with the handshake.
func (l *loop) register(c *epollConn) {
	if len(l.free) == 0 {
		l.slots = append(l.slots, slot{})
		l.ticks = append(l.ticks, 0)
		l.free = append(l.free, uint32(len(l.slots)-1))
	}
	i := l.free[len(l.free)-1]
	l.free = l.free[:len(l.free)-1]
	c.slot = int32(i)
	l.slots[i].c = c
	l.heard(c)
	answer := c.stash.answer
	if c.stash.answer = nil; len(c.stash.b) == 0 {
		c.stash = nil
	}
	c.cork()
	c.reply(answer)
	c.h.Open(c)
	c.uncork()
	err := unix.EpollCtl(l.epoll, unix.EPOLL_CTL_ADD, int(c.fd), &unix.EpollEvent{
		Events: unix.EPOLLIN | unix.EPOLLOUT | unix.EPOLLRDHUP | unix.EPOLLET,
		Fd:     c.slot,
		Pad:    int32(l.slots[i].generation),
	})
	if err != nil {
		c.endOfStream(err)
	}
	l.attend(c)
}

// release closes the descriptor of a connection that is over and told.
func (l *loop) release(c *epollConn) {
	c.mu.Lock()
	fd := int(c.fd)
	c.fd = -1
	c.forget()
	reset := c.reset
	c.mu.Unlock()
	if reset { // a slow peer's kernel buffer is not worth keeping either
		_ = unix.SetsockoptLinger(fd, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1})
	}
	_ = unix.Close(fd)
	s := &l.slots[c.slot]
	s.c = nil
	s.generation++
	l.ticks[c.slot] = 0
	l.free = append(l.free, uint32(c.slot))
	c.stash = nil
	l.srv.released(c.kind)
}

func (l *loop) handle(e *unix.EpollEvent) {
	switch e.Fd {
	case wakeSlot: // its counter need not be read: every write is an edge
		return
	case tickSlot: // reading it starts the next tick
		var ticks uint64
		_, _, _ = unix.RawSyscall(unix.SYS_READ, uintptr(l.timer), uintptr(unsafe.Pointer(&ticks)), 8)
		l.ticked = true
		return
	}
	s := &l.slots[e.Fd]
	if s.c == nil || s.generation != uint32(e.Pad) {
		return // of a connection that ended earlier in this turn
	}
	c := s.c
	if e.Events&unix.EPOLLOUT != 0 {
		c.mu.Lock()
		c.flush()
		c.mu.Unlock()
	}
	if e.Events&(unix.EPOLLHUP|unix.EPOLLERR|unix.EPOLLRDHUP) != 0 {
		c.hup = true
		if c.isHeld() && e.Events&(unix.EPOLLHUP|unix.EPOLLERR) != 0 {
			c.endOfStream(l.socketError(c))
		}
	}
	if e.Events&^unix.EPOLLOUT != 0 {
		l.read(c)
	}
	l.after(c)
}

// socketError is why a socket that is not being read has ended.
func (l *loop) socketError(c *epollConn) error {
	if n, err := unix.GetsockoptInt(int(c.fd), unix.SOL_SOCKET, unix.SO_ERROR); err == nil && n != 0 {
		return unix.Errno(n)
	}
	return unix.ECONNRESET
}

// attend looks at a connection after someone asked for it.
func (l *loop) attend(c *epollConn) {
	c.mu.Lock()
	if c.blocked {
		c.flush()
	}
	c.mu.Unlock()
	if c.now() != over && !c.isHeld() {
		l.read(c)
	}
	l.after(c)
}

// readOn goes on with those that had more to read than their turn allowed.
func (l *loop) readOn() {
	ready := l.ready
	l.ready = l.again
	for i, c := range ready {
		ready[i] = nil
		c.inReady = false
		if c.now() != over {
			l.read(c)
			l.after(c)
		} else if c.fd >= 0 {
			l.after(c)
		}
	}
	l.again = ready[:0]
}

// read takes what the socket has, as far as this turn allows. It must go on
// until the socket is empty: an edge comes once.
func (l *loop) read(c *epollConn) {
	if c.stash != nil {
		if c.isHeld() {
			return
		}
		b := c.stash.b
		c.stash = nil
		l.feed(c, b)
	}
	for range readsPerTurn {
		if c.stash != nil || c.isHeld() || c.now() == over {
			return
		}
		n, err := l.receive(c)
		switch {
		case err == error(errAgain):
			return
		case err != nil:
			c.endOfStream(err)
			return
		}
		l.srv.stats.Reads.Add(1)
		l.srv.stats.BytesIn.Add(int64(n))
		l.heard(c)
		l.feed(c, l.buf[:n])
		if n < len(l.buf) && c.tls == nil && !c.hup && c.now() != broken {
			return
		}
	}
	if !c.inReady {
		c.inReady = true
		l.ready = append(l.ready, c)
	}
}

// feed hands bytes to the connection and keeps what has to wait.
func (l *loop) feed(c *epollConn, b []byte) {
	if rest := c.feed(b); len(rest) > 0 {
		c.stash = &stash{b: bytes.Clone(rest)}
	}
}

// receive reads once into the loop's buffer; of a connection that is finishing,
// what comes is thrown away unseen.
func (l *loop) receive(c *epollConn) (int, error) {
	if c.now() == finishing {
		return c.recv(l.buf, unix.MSG_TRUNC)
	}
	if c.tls == nil {
		return c.recv(l.buf, 0)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	n, err := c.tls.Read(l.buf)
	if n > 0 {
		return n, nil
	}
	return n, err
}

// heard restarts the countdown of silence.
func (l *loop) heard(c *epollConn) {
	if c.now() == open {
		c.pinged = false
		l.count(c, l.srv.clock.interval)
	}
}

// after does what follows from the phase that a connection is in now.
func (l *loop) after(c *epollConn) {
	switch p := c.now(); p {
	case open:
		if l.ticks[c.slot] == 0 && !c.isHeld() { // it was held
			l.heard(c)
		}
	case closing, finishing:
		if c.timed != p {
			c.timed = p
			l.count(c, l.srv.clock.closing)
		}
	case broken:
		if !c.inReady && c.stash == nil { // all was read
			c.endOfStream(io.EOF)
			l.release(c)
		}
	case over:
		c.tell()
		l.release(c)
	}
}

// count starts a countdown for a connection; 0 stops it.
func (l *loop) count(c *epollConn, ticks uint8) {
	l.ticks[c.slot] = ticks
	if ticks > 0 && !l.ticking {
		l.setTimer(l.srv.clock.tick)
	}
}

// setTimer makes the timer tick, or with 0 stops it.
func (l *loop) setTimer(every time.Duration) {
	l.ticking = every > 0
	t := unix.NsecToTimespec(int64(every))
	_ = unix.TimerfdSettime(l.timer, 0, &unix.ItimerSpec{Interval: t, Value: t}, nil)
}

// sweep counts down, and does what is due. When nobody is counting, the timer
// stops.
func (l *loop) sweep() {
	counting := false
	for i, t := range l.ticks {
		if t == 0 {
			continue
		}
		counting = true
		l.ticks[i] = t - 1
		if t > 1 {
			continue
		}
		c := l.slots[i].c
		c.mu.Lock()
		l.ticks[i] = c.expired()
		c.mu.Unlock()
		l.after(c)
	}
	if !counting {
		l.setTimer(0)
	}
}
