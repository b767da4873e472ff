package sockjs

import (
	"bytes"
	"context"
	"errors"
	"math"
	"net/netip"
	"sync"
	"time"

	"github.com/gobwas/ws"

	"rollcall/transport"
)

// phase is where a session stands. It only grows.
type phase uint8

const (
	open    phase = iota // messages flow both ways
	closing              // whoever asks gets the close frame
	over                 // nobody finds it any more
)

// slackBytes may wait before a session counts as one with a backlog, whose
// optional frames are dropped: a poll takes all of it at once.
const slackBytes = 16 << 10

// session is a connection that is made of HTTP requests: a transport.Conn. What
// it is to send waits in it until a receiver, which is a request of the client,
// takes it. It is lost when there is no receiver for as long as the disconnect
// delay, or when a receiver's connection breaks.
type session struct {
	svc    *Service
	id     string
	remote netip.AddrPort

	calls chan struct{}     // of cap 1: full during a call of the handler
	h     transport.Handler // for whoever filled calls; nil once Closed was called

	ended chan struct{} // closed with the handler's connection: phase is above open

	mu      sync.Mutex
	phase   phase
	greeted bool          // a receiver got the open frame
	queue   []byte        // what waits: an array frame without its last bracket; nil: nothing
	extra   int           // bytes that may wait besides OutboundBytes: of a single larger Write
	last    []byte        // the close frame
	recv    *seat         // the receiver's; nil: there is none
	heard   time.Time     // when the last request came
	quiet   time.Time     // since when there is none; where closing, since when that is
	timer   *time.Timer   // looks at quiet
	resumed chan struct{} // closed by Resume; nil: not paused
	sending int           // requests that bring messages
}

var _ transport.Conn = (*session)(nil)

func newSession(svc *Service, id string, remote netip.AddrPort, h transport.Handler) *session {
	s := &session{svc: svc, id: id, remote: remote, h: h, calls: make(chan struct{}, 1), ended: make(chan struct{}), quiet: time.Now(), heard: time.Now()}
	s.timer = time.AfterFunc(svc.o.DisconnectDelay, s.look)
	return s
}

func (s *session) Remote() netip.AddrPort { return s.remote }

// Quiet implements transport.Conn: what the client sends are requests.
func (s *session) Quiet(tell func(d time.Duration, known bool)) {
	s.mu.Lock()
	d, known := time.Since(s.heard), s.phase == open
	s.mu.Unlock()
	go tell(d, known)
}

// Write implements transport.Conn: b is frames of AppendText.
func (s *session) Write(b []byte, must int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.phase > open || len(b) == 0 {
		return
	}
	must = min(max(must, 0), len(b))
	large := must > s.svc.o.OutboundBytes && s.extra == 0
	if large {
		s.extra = math.MaxInt32 // as conn.writeLarge of package transport
	}
	s.add(b[:must])
	if large {
		s.extra = len(s.queue)
	}
	if len(s.queue) <= slackBytes {
		s.add(b[must:])
	} else {
		s.drop(b[must:])
	}
	if len(s.queue) > s.svc.o.OutboundBytes+s.extra {
		s.queue = nil
		s.close(transport.End{Cause: transport.Slow, Code: closeAbnormal}, closeSlow, "slow")
		return
	}
	s.wake()
}

// add puts the messages of frames behind those that wait. Here and below mu is
// held.
func (s *session) add(frames []byte) {
	for p := range transport.Payloads(frames) {
		text, isArray := bytes.CutPrefix(p, arrayOpen)
		if !isArray {
			continue // AppendText makes no others
		}
		if s.queue == nil {
			s.queue = append(s.queue, arrayOpen...)
		} else {
			s.queue = append(s.queue, ',')
		}
		s.queue = append(s.queue, bytes.TrimSuffix(text, arrayClose)...)
	}
}

func (s *session) drop(frames []byte) {
	for range transport.Payloads(frames) {
		s.svc.o.Stats.Dropped.Add(1)
	}
}

func (s *session) wake() {
	if s.recv != nil {
		s.recv.tell()
	}
}

// Close implements transport.Conn. What waits goes out before the close frame.
func (s *session) Close(code uint16, reason string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.close(transport.End{Cause: transport.Local, Code: code}, code, reason)
}

// close ends the connection, and keeps the close frame for the disconnect
// delay.
func (s *session) close(e transport.End, code uint16, reason string) {
	if s.phase > open {
		return
	}
	s.phase, s.last, s.quiet = closing, closeFrame(code, reason), time.Now()
	s.timer.Reset(s.svc.o.DisconnectDelay)
	s.end(e)
	s.wake()
	if s.svc.draining() { // nobody will come to hear of it, but the receiver
		s.bury()
	}
}

// buryClosed buries the session if it is closed.
func (s *session) buryClosed() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.phase == closing {
		s.bury()
	}
}

// lose ends the connection without a word.
func (s *session) lose(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.phase <= open {
		s.queue = nil
		s.end(transport.End{Cause: transport.Lost, Code: closeAbnormal, Err: err})
	}
	s.bury()
}

// bury takes the session off the service's list. A receiver still gets what
// waits, and the close frame.
func (s *session) bury() {
	if s.phase == over {
		return
	}
	s.phase = over
	s.timer.Stop()
	s.wake()
	s.svc.remove(s)
}

// end tells the handler of its connection's end, once its call under way has
// returned.
func (s *session) end(e transport.End) {
	close(s.ended)
	s.svc.o.Stats.Ended[e.Cause].Add(1)
	s.svc.o.Stats.Open.Add(-1)
	s.svc.telling.Go(func() {
		s.calls <- struct{}{}
		defer func() { <-s.calls }()
		h := s.h
		s.h = nil
		h.Closed(e)
	})
}

var errNoReceiver = errors.New("no request of the client waited for messages")

// look is called by the timer: has the session been without a receiver, or
// closed, for too long?
func (s *session) look() {
	s.mu.Lock()
	left := s.svc.o.DisconnectDelay - time.Since(s.quiet)
	switch {
	case s.phase == over, s.phase != closing && s.recv != nil:
	case left > 0:
		s.timer.Reset(left)
	case s.phase == closing:
		s.bury()
	default:
		s.mu.Unlock()
		s.lose(errNoReceiver)
		return
	}
	s.mu.Unlock()
}

// seat is a receiver's.
type seat struct {
	news chan struct{} // of cap 1: there may be something to take
	left chan struct{} // closed when it is free
}

func (t *seat) tell() {
	select {
	case t.news <- struct{}{}:
	default: // it knows
	}
}

// attach makes a request the session's receiver, with a seat of its own. Else
// somebody has the seat, or the session is over.
func (s *session) attach() (mine, taken *seat) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.phase == over:
		return nil, nil
	case s.phase == open && s.recv != nil:
		return nil, s.recv
	}
	s.heard = time.Now()
	mine = &seat{make(chan struct{}, 1), make(chan struct{})}
	if s.phase == open { // else any number may hear of the end
		s.timer.Stop()
		s.recv = mine
	}
	return mine, nil
}

// detach ends a receiver's time in order.
func (s *session) detach(t *seat) {
	s.mu.Lock()
	defer s.mu.Unlock()
	close(t.left)
	if s.recv != t {
		return
	}
	s.recv = nil
	if s.phase <= open {
		s.quiet = time.Now()
		s.timer.Reset(s.svc.o.DisconnectDelay)
	}
}

// take is the next frame for a receiver; nil: nothing waits. Nothing follows
// the last one.
func (s *session) take() (frame []byte, last bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case !s.greeted:
		s.greeted = true
		return openFrame, false
	case s.queue != nil:
		s.queue = append(s.queue, arrayClose...)
		frame, s.queue, s.extra = s.queue, nil, 0
		return frame, false
	case s.phase >= closing:
		return s.last, true
	}
	return nil, false
}

// Soon implements transport.Conn: no goroutine serves a session but those of its
// requests.
func (s *session) Soon(f func()) { go f() }

// Pause implements transport.Conn: requests that bring messages wait.
func (s *session) Pause() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.resumed == nil && s.phase <= open {
		s.resumed = make(chan struct{})
	}
}

// Resume implements transport.Conn.
func (s *session) Resume() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.resumed != nil {
		close(s.resumed)
		s.resumed = nil
	}
}

// awaitResume waits while the session is paused. False: it has ended, or ctx.
func (s *session) awaitResume(ctx context.Context) bool {
	for {
		s.mu.Lock()
		live, resumed := s.phase <= open, s.resumed
		s.mu.Unlock()
		if resumed == nil || !live {
			return live
		}
		select {
		case <-resumed:
		case <-s.ended:
		case <-ctx.Done():
			return false
		}
	}
}

// enter lets one more request bring messages; leave lets it go. More than
// sendersMost at once are none of a client that works.
func (s *session) enter() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.sending == sendersMost {
		return false
	}
	s.sending++
	s.heard = time.Now()
	return true
}

const sendersMost = 4

func (s *session) leave() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sending--
}

// deliver gives messages to the handler, those of one request behind those of
// another. What comes after the end is thrown away.
func (s *session) deliver(ctx context.Context, ms messages) {
	select {
	case s.calls <- struct{}{}:
		defer func() { <-s.calls }()
	case <-ctx.Done():
		s.lose(context.Cause(ctx))
		return
	}
	for text := range ms.all() {
		if !s.awaitResume(ctx) {
			if err := context.Cause(ctx); err != nil {
				s.lose(err) // a part of what it sent is gone
			}
			return
		}
		s.svc.o.Stats.Messages.Add(1)
		if len(text) > s.svc.o.MessageBytes {
			s.svc.o.Stats.Refused[RefusedBody].Add(1)
			s.violate(closeTooBig, "message too big")
			return
		}
		s.h.Message(ws.OpText, text)
	}
}

// refuse is violate for whoever has not filled calls.
func (s *session) refuse(ctx context.Context, code uint16, reason string) {
	select {
	case s.calls <- struct{}{}:
		defer func() { <-s.calls }()
		s.violate(code, reason)
	case <-ctx.Done():
		s.lose(context.Cause(ctx))
	}
}

// violate ends the connection for a broken rule, between two of the handler's
// calls.
func (s *session) violate(code uint16, reason string) {
	if s.h == nil { // was told of the end
		return
	}
	b := s.svc.o.Farewell(s.h, code)
	s.Write(b, len(b))
	s.mu.Lock()
	defer s.mu.Unlock()
	s.close(transport.End{Cause: transport.Violation, Code: code, Err: errors.New(reason)}, code, reason)
}

// Codes of close frames.
const (
	closeAbnormal = uint16(ws.StatusAbnormalClosure)
	closeTooBig   = uint16(ws.StatusMessageTooBig)
	closeProtocol = uint16(ws.StatusProtocolError)
	closeSlow     = 4002 // docs/protocol.md §5
	closeBusy     = 2010 // of the SockJS protocol
)
