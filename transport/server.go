package transport

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"time"
)

// Errors of Accept.
var (
	ErrServerClosed = errors.New("transport: server is shut down")
	ErrFull         = errors.New("transport: Options.Connections are open")
)

// Server upgrades requests and serves the connections they become.
type Server struct {
	opts   Options
	limits limits
	clock  clock
	rate   rate // of control frames
	door   *admission
	start  time.Time
	stats  Stats

	loops  driver      // nil in goroutine mode
	direct *goroutines // goroutine mode, and what loops can't take over

	mu    sync.Mutex
	live  int           // connections adopted and not yet released
	drain bool          // Shutdown was called
	empty chan struct{} // closed when drain and live is 0
}

// driver is the event loops of a system that has them.
type driver interface {
	// adopt takes over a connection whose handshake is to be answered. It says
	// false, and has done nothing, when it can't serve this kind.
	adopt(nc net.Conn, answer, early []byte, h Handler) (bool, error)
	// each runs f for every connection, where f may use Conn and abandon.
	each(f func(*conn))
	// stop ends the loops; no connection is left.
	stop()
}

// New makes a Server. It runs until Shutdown.
func New(o Options) (*Server, error) {
	o, err := o.withDefaults()
	if err != nil {
		return nil, err
	}
	s := &Server{
		opts:   o,
		limits: limits{message: int64(o.MessageBytes), fragments: o.Fragments},
		clock:  newClock(o.HeartbeatInterval, o.HeartbeatTimeout, o.CloseTimeout),
		rate:   newRate(o.ControlRate, time.Second, 10),
		start:  time.Now(),
		empty:  make(chan struct{}),
	}
	s.door = newAdmission(o.Admission, &s.stats.Forgotten)
	if o.Mode != ModeGoroutine {
		s.loops, err = newLoops(s)
		if err != nil && (o.Mode == ModeEpoll || !errors.Is(err, errors.ErrUnsupported)) {
			return nil, fmt.Errorf("transport: event loops: %w", err)
		}
	}
	s.direct = newGoroutines(s)
	return s, nil
}

// Stats counts while the Server runs, and keeps its counts after.
func (s *Server) Stats() *Stats { return &s.stats }

// Accept turns a request that Check passed into a WebSocket and hands it to h,
// whose Open comes on another goroutine, soon. An error means that there is no
// connection; when it is ErrFull or ErrServerClosed nothing was written, and
// the answer is the caller's, else the answer is written or nobody can hear it.
func (s *Server) Accept(w http.ResponseWriter, r *http.Request, hs Handshake, h Handler) error {
	if err := s.enter(); err != nil {
		return err
	}
	nc, early, err := takeOver(w)
	if err != nil {
		s.leave()
		return err
	}
	if err := s.adopt(nc, hs.answer(), early, h); err != nil {
		_ = nc.Close()
		s.leave()
		return fmt.Errorf("transport: take over connection: %w", err)
	}
	return nil
}

// adopt has somebody serve nc, who sends the answer to the handshake before
// anything else: in the same write as what Handler.Open has to say.
func (s *Server) adopt(nc net.Conn, answer, early []byte, h Handler) error {
	if s.loops != nil {
		if took, err := s.loops.adopt(nc, answer, early, h); took || err != nil {
			return err
		}
	}
	s.direct.serve(nc, answer, early, h)
	return nil
}

// remoteOf is the peer's address, zero for sockets that are not TCP.
func remoteOf(nc net.Conn) netip.AddrPort {
	a, ok := nc.RemoteAddr().(*net.TCPAddr)
	if !ok {
		return netip.AddrPort{}
	}
	ap := a.AddrPort()
	return netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port())
}

// enter counts a connection in, leave out.
func (s *Server) enter() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.admits(); err != nil {
		return err
	}
	s.live++
	return nil
}

// admits says why another connection would be one too many. mu is held.
func (s *Server) admits() error {
	switch {
	case s.drain:
		s.stats.Refused[RefusedDraining].Add(1)
		return ErrServerClosed
	case s.live >= s.opts.Connections:
		s.stats.Refused[RefusedFull].Add(1)
		return ErrFull
	}
	return nil
}

func (s *Server) leave() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.live--
	if s.drain && s.live == 0 {
		close(s.empty)
	}
}

// opened counts a connection that is being served.
func (s *Server) opened(k Kind) {
	s.stats.Opened[k].Add(1)
	s.stats.Open[k].Add(1)
}

// released is the end of a connection's socket.
func (s *Server) released(k Kind) {
	s.stats.Open[k].Add(-1)
	s.leave()
}

// nanos is the time of rate limits.
func (s *Server) nanos() int64 { return int64(time.Since(s.start)) }

// CloseAll calls Close on every connection.
func (s *Server) CloseAll(code uint16, reason string) {
	s.each(func(c *conn) { c.Close(code, reason) })
}

func (s *Server) each(f func(*conn)) {
	if s.loops != nil {
		s.loops.each(f)
	}
	s.direct.each(f)
}

// Shutdown refuses new connections, waits until every open one has ended (it
// does not end them: CloseAll or their owners do) and stops the event loops.
// When ctx ends first, the rest is cut with a close frame 1001, cause Local,
// and Shutdown returns ctx's error. A second call returns ErrServerClosed.
func (s *Server) Shutdown(ctx context.Context) error {
	s.mu.Lock()
	if s.drain {
		s.mu.Unlock()
		return ErrServerClosed
	}
	s.drain = true
	if s.live == 0 {
		close(s.empty)
	}
	s.mu.Unlock()

	var err error
	for waiting := true; waiting; {
		select {
		case <-s.empty:
			waiting = false
		case <-ctx.Done():
			err = ctx.Err()
			s.each((*conn).abandon)
			// One that was being accepted meanwhile is found next time.
			select {
			case <-s.empty:
				waiting = false
			case <-time.After(10 * time.Millisecond):
			}
		}
	}
	if s.loops != nil {
		s.loops.stop()
	}
	s.direct.stop()
	return err
}
