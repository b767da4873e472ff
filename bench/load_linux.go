package bench

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"golang.org/x/sys/unix"
)

const (
	orderTimeout = 2 * time.Minute
	openWindow   = 500

	readBytes = 64 << 10
	events    = 1024

	// gatherTime is how long the load lets messages gather before it reads them,
	// in nanoseconds: what it saves goes to the server. Latencies are up to that
	// much longer.
	gatherTime = 200_000

	noTimeout = 1 << 62

	// In place of a connection's slot.
	timerEvent = -1
	callEvent  = -2

	// portsPerAddress is how many connections come from one source address of
	// loopback: below the 28,232 ports that Linux gives out by default.
	portsPerAddress = 16_384
)

// load is the clients of one process, all served by one thread and one epoll
// set.
type load struct {
	epoll int
	timer int // a timerfd in the set: when the next message is due
	ready [events]unix.EpollEvent
	read  []byte
	write []byte

	crowd   Crowd
	dialect Dialect
	server  unix.SockaddrInet4
	conns   []conn
	dialled int // connections ever: gives each its source address

	// Of the order that is carried out.
	task  task
	run   uint64
	tally Tally
	taken int64 // when the newest bytes were read

	called bool // somebody wants us to end pausing
}

// task is an order that is carried out: what it does when something happened.
type task interface {
	in(c *conn)            // the client is in its room, by opening or by asking
	left(c *conn)          // it is out of its room
	gone(c *conn)          // its connection is over, asked or not
	heard(c *conn, m body) // it got a message of this run
	saw(c *conn)           // it was told of presence
	due(now int64)         // the timer went off
	done() bool
	end() // it is done, or will not be
}

// idle is a task that does nothing; others begin with it.
type idle struct{}

func (idle) in(*conn)          {}
func (idle) left(*conn)        {}
func (idle) gone(*conn)        {}
func (idle) heard(*conn, body) {}
func (idle) saw(*conn)         {}
func (idle) due(int64)         {}
func (idle) done() bool        { return true }
func (idle) end()              {}

// newLoad makes the load of this process.
func newLoad() (*load, error) {
	l := &load{read: make([]byte, readBytes), task: idle{}}
	var err error
	if l.epoll, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
		return nil, fmt.Errorf("make an epoll set: %w", err)
	}
	if l.timer, err = unix.TimerfdCreate(unix.CLOCK_MONOTONIC, unix.TFD_NONBLOCK|unix.TFD_CLOEXEC); err != nil {
		_ = unix.Close(l.epoll)
		return nil, fmt.Errorf("make a timer: %w", err)
	}
	if err = unix.EpollCtl(l.epoll, unix.EPOLL_CTL_ADD, l.timer, &unix.EpollEvent{Events: unix.EPOLLIN, Fd: timerEvent}); err != nil {
		l.close()
		return nil, fmt.Errorf("watch the timer: %w", err)
	}
	return l, nil
}

func (l *load) close() {
	l.disband()
	_ = unix.Close(l.timer)
	_ = unix.Close(l.epoll)
}

// disband ends all connections at once.
func (l *load) disband() {
	for i := range l.conns {
		l.conns[i].cut()
	}
	l.conns = nil
}

// do carries out an order. When ctx ends before it, its Error says so.
func (l *load) do(ctx context.Context, o Order) Tally {
	if o.Do == Simulate {
		t, err := simulate(ctx, o.Crowd)
		if err != nil {
			t.Error = err.Error()
		}
		return t
	}
	l.run = (l.run + 1) & 0xffff
	start, cpu := now(), ownCPU()
	if err := l.carryOut(ctx, o); err != nil {
		l.wrong(err.Error())
	}
	t := l.tally
	t.Took, t.CPU = time.Duration(now()-start), ownCPU()-cpu
	l.task, l.tally = idle{}, Tally{}
	return t
}

// attend serves the connections until there is something to read from a file:
// who does nothing still answers pings. What comes meanwhile counts for the next
// order.
func (l *load) attend(ctx context.Context, fd int) error {
	if err := unix.EpollCtl(l.epoll, unix.EPOLL_CTL_ADD, fd, &unix.EpollEvent{Events: unix.EPOLLIN, Fd: callEvent}); err != nil {
		return fmt.Errorf("watch for orders: %w", err)
	}
	l.called = false
	l.task = pausing{load: l}
	err := l.loop(ctx, noTimeout)
	return errors.Join(err, unix.EpollCtl(l.epoll, unix.EPOLL_CTL_DEL, fd, nil))
}

// pausing waits for a call.
type pausing struct {
	idle
	load *load
}

func (p pausing) done() bool { return p.load.called }

var (
	errDriver   = errors.New("no such driver")
	errNoResume = errors.New("sessions of this server can't be resumed")
	errNoMoves  = errors.New("clients of this server don't come and go on one connection")
)

func (l *load) carryOut(ctx context.Context, o Order) error {
	limit := o.Timeout
	if limit == 0 {
		limit = orderTimeout
	}
	switch o.Do {
	case Assemble:
		return l.assemble(o.Crowd)
	case Open:
		l.task = newOpening(l, &o)
	case Say:
		l.task = newTalk(l, &o)
	case Watch:
		l.task = newWatch(l, &o)
		limit += o.For
	case Close:
		l.task = newClosing(l, &o)
	case Churn:
		l.task = newChurn(l, &o)
	case Resume:
		if _, can := l.dialect.(Resumer); !can {
			return errNoResume
		}
		l.task = newResuming(l, &o)
	case Move:
		mover, can := l.dialect.(Mover)
		if !can {
			return errNoMoves
		}
		l.task = newWalk(l, mover, &o)
		limit += o.For
	default:
		return fmt.Errorf("unknown order %q", o.Do)
	}
	err := l.loop(ctx, limit)
	l.task.end()
	return err
}

// assemble makes the clients of a crowd, without connections.
func (l *load) assemble(c Crowd) error {
	l.disband()
	d, known := lookup(c.Driver)
	if !known {
		return fmt.Errorf("%w: %q", errDriver, c.Driver)
	}
	at, err := netip.ParseAddrPort(c.Address)
	if err != nil || !at.Addr().Is4() {
		return fmt.Errorf("address %q, must be an IPv4 address and a port", c.Address)
	}
	l.crowd, l.dialect = c, d
	l.server = unix.SockaddrInet4{Addr: at.Addr().As4(), Port: int(at.Port())}
	l.conns = make([]conn, c.Count)
	room, number := "", -1
	for i := range l.conns {
		index := c.First + i
		if n := index / c.PerRoom; n != number {
			number, room = n, fmt.Sprintf("%sr%d", c.Name, n)
		}
		l.conns[i] = conn{load: l, slot: int32(i), fd: -1, client: Client{Index: index, User: fmt.Sprintf("%su%d", c.Name, index), Room: room}}
	}
	return nil
}

// loop serves the connections until the task is done.
func (l *load) loop(ctx context.Context, limit time.Duration) error {
	begun := now()
	for !l.task.done() {
		n, err := unix.EpollWait(l.epoll, l.ready[:], 100)
		if err != nil && err != unix.EINTR {
			return fmt.Errorf("wait for events: %w", err)
		}
		if 0 < n && n < len(l.ready)/2 {
			// While the server writes to one after the other, each wake-up would
			// find one message. Let some gather.
			_ = unix.Nanosleep(&unix.Timespec{Nsec: gatherTime}, nil)
			if n, err = unix.EpollWait(l.epoll, l.ready[:], 0); err != nil && err != unix.EINTR {
				return fmt.Errorf("wait for events: %w", err)
			}
		}
		for _, e := range l.ready[:max(n, 0)] {
			if e.Fd == callEvent {
				l.called = true
				continue
			}
			if e.Fd == timerEvent {
				var expirations [8]byte
				_, _ = unix.Read(l.timer, expirations[:])
				l.task.due(now())
				continue
			}
			// A connection that was made anew since has another generation.
			if c := &l.conns[e.Fd]; c.fd >= 0 && c.generation == e.Pad {
				c.happened(e.Events)
			}
		}
		if ctx.Err() != nil {
			return fmt.Errorf("interrupted: %w", context.Cause(ctx))
		}
		if now()-begun > int64(limit) {
			return fmt.Errorf("not done after %v", limit)
		}
	}
	return nil
}

// wrong notes the first thing that fails the order.
func (l *load) wrong(what string) {
	if l.tally.Error == "" {
		l.tally.Error = what
	}
}

// alarm has the task told at an instant of now.
func (l *load) alarm(at int64) {
	at = max(at, 1) // 0 would stop the timer
	spec := unix.ItimerSpec{Value: unix.NsecToTimespec(at)}
	if err := unix.TimerfdSettime(l.timer, unix.TFD_TIMER_ABSTIME, &spec, nil); err != nil {
		panic(fmt.Sprintf("set a timer to %d: %v", at, err)) // the arguments are good
	}
}

// now is the machine's monotonic clock, the same for all processes.
func now() int64 { return clockBase + int64(time.Since(clockStart)) }

// time.Since takes no system call, and does not tell the clock itself.
var clockStart, clockBase = time.Now(), clock(unix.CLOCK_MONOTONIC)

// ownCPU is what this process has used.
func ownCPU() time.Duration { return time.Duration(clock(unix.CLOCK_PROCESS_CPUTIME_ID)) }

func clock(id int32) int64 {
	var t unix.Timespec
	_ = unix.ClockGettime(id, &t) // which can't fail with these clocks
	return t.Nano()
}
