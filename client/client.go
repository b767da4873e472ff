// Package client is a Go client of the native protocol: a second
// implementation of docs/protocol.md, for bots, tools and tests.
//
// A Client is one user's visit. It makes requests, delivers everything else as
// events in order, and comes back by itself into its rooms when its connection
// is lost. A Conn, below it, is one WebSocket.
package client

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"rollcall/protocol"
)

// Client is connected to one server. Its methods may be called by any
// goroutine.
//
// Events must be read: when Options.Events of them wait, the client stops
// reading from the server, so that nothing is dropped and nothing grows. Then
// requests are not answered either, nor pings, and in the end the server cuts
// the connection.
type Client struct {
	// Set by Dial, then never changed.
	address string
	opts    Options
	events  chan Event
	ctx     context.Context // ends with Close
	cancel  context.CancelFunc
	done    chan struct{} // closed when the last connection ended

	mu      sync.Mutex
	conn    *Conn // nil: offline
	welcome *protocol.Welcome
	rooms   []*membership    // in the order they were joined, those to leave too
	calls   map[uint64]*call // by id; after a break those to repeat
	lastID  uint64
	err     error // what the last connection ended with

	// Goroutines of the client that write to the connection in use.
	writers sync.WaitGroup
}

// Dial connects and waits for the server's welcome. The first event is Online.
// ctx bounds the dialling alone. What was refused is not tried again: the
// error is a *HandshakeError, a *CloseError or that of the network. Close the
// client when done.
func Dial(ctx context.Context, url string, o Options) (*Client, error) {
	o = o.withDefaults()
	if _, err := o.address(url); err != nil {
		return nil, err
	}
	c := &Client{
		address: url, opts: o,
		events: make(chan Event, o.Events), done: make(chan struct{}), calls: map[uint64]*call{},
	}
	conn, welcome, err := c.connect(ctx, o)
	if err != nil {
		return nil, err
	}
	for _, room := range o.Rooms {
		c.rooms = append(c.rooms, &membership{room: room})
	}
	c.conn, c.welcome = conn, welcome
	c.ctx, c.cancel = context.WithCancel(context.WithoutCancel(ctx))
	go c.run()
	return c, nil
}

// connect opens a connection and reads its welcome.
func (c *Client) connect(ctx context.Context, o Options) (*Conn, *protocol.Welcome, error) {
	ctx, cancel := context.WithTimeout(ctx, o.HandshakeTimeout)
	defer cancel()
	conn, err := Connect(ctx, c.address, o)
	if err != nil {
		return nil, nil, err
	}
	stop := context.AfterFunc(ctx, conn.Abort)
	frame, err := conn.Read()
	if !stop() {
		return nil, nil, fmt.Errorf("waiting for welcome: %w", context.Cause(ctx))
	}
	if err != nil {
		return nil, nil, fmt.Errorf("waiting for welcome: %w", err)
	}
	m, err := protocol.DecodeMessage(frame)
	o.trace(m)
	welcome, ok := m.(*protocol.Welcome)
	if !ok {
		if err == nil {
			err = fmt.Errorf("the server began with %T", m)
		}
		err = conn.refuse(protocol.CloseInvalidUTF8, err)
		conn.Abort()
		return nil, nil, err
	}
	if o.Quiet == 0 {
		conn.quiet = time.Duration(max(welcome.HeartbeatMS, 0)) * time.Millisecond
	}
	return conn, welcome, nil
}

// Events is everything that happens, in order. It is closed after the last
// Offline, and by Close.
func (c *Client) Events() <-chan Event { return c.events }

// Welcome is what the server said to the newest connection.
func (c *Client) Welcome() *protocol.Welcome {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.welcome
}

// Done is closed when the client has ended for good.
func (c *Client) Done() <-chan struct{} { return c.done }

// Err is what the client ended with, after Done: a *CloseError, or what the
// last attempt to connect failed with.
func (c *Client) Err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err
}

// Close leaves: it closes the connection with 1000 and waits for the server's
// part of it, Options.CloseTimeout at most. Events that come meanwhile are
// dropped; those that wait can still be read.
func (c *Client) Close() error { return c.CloseWith(protocol.CloseNormal, "") }

// CloseWith is Close with another code (1000, or 3000 to 4999) and reason.
func (c *Client) CloseWith(code protocol.CloseCode, reason string) error {
	c.cancel()
	if conn := c.current(); conn != nil {
		_ = conn.Close(code, reason) // fails where it ends already
	}
	<-c.done
	return nil
}

// Abort breaks the connection as a failing network would: without a close
// frame. The client then comes back, unless Options.NoReconnect.
func (c *Client) Abort() {
	if conn := c.current(); conn != nil {
		conn.Abort()
	}
}

// Conn is the connection in use, for tests that send what a client would not;
// nil while offline.
func (c *Client) Conn() *Conn { return c.current() }

func (c *Client) current() *Conn {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.conn
}

// run serves one connection after the other until there is no next.
func (c *Client) run() {
	defer close(c.done)
	defer close(c.events)
	defer c.cancel()
	failures := 0
	for {
		c.emit(&Online{Welcome: c.Welcome()})
		since := time.Now()
		bye, err := c.serve(c.current())
		if time.Since(since) >= c.opts.MaxBackoff {
			failures = 0
		}
		for attempt := 1; ; attempt++ {
			again, after := mayReturn(bye, err)
			again = again && !c.opts.NoReconnect && c.ctx.Err() == nil
			if !again {
				c.mu.Lock()
				c.err = err
				c.mu.Unlock()
				c.failAll()
				c.emit(&Offline{Err: err, Bye: bye, Final: true})
				return
			}
			wait := after + c.opts.backoff(failures)
			failures++
			c.emit(&Offline{Err: err, Bye: bye, Wait: wait})
			if !c.sleep(wait) {
				continue // closed: the reason stays
			}
			c.emit(&Connecting{Attempt: attempt})
			if bye, err = nil, c.reconnect(); err == nil {
				break
			}
		}
	}
}

func (c *Client) sleep(d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-c.ctx.Done():
		return false
	}
}

// serve reads a connection to its end.
func (c *Client) serve(conn *Conn) (bye *protocol.Bye, err error) {
	stop := c.keepPromise(conn)
	defer func() {
		stop()
		c.lose()
	}()
	for {
		frame, err := conn.Read()
		if err != nil {
			return bye, err
		}
		m, err := protocol.DecodeMessage(frame)
		if err != nil {
			end := conn.refuse(protocol.CloseInvalidUTF8, err)
			conn.Abort()
			return nil, end
		}
		c.opts.trace(m)
		if b, ok := m.(*protocol.Bye); ok {
			bye = b
		}
		if m != nil {
			c.take(conn, m)
		}
	}
}

// take notes what a message says of the rooms, hands an answer to who waits for
// it, and makes an event of the rest.
func (c *Client) take(conn *Conn, m protocol.Message) {
	call := c.answered(m)
	if call == nil && late(m) {
		return // whoever asked has given up
	}
	gap, news := c.note(conn, m, call)
	if call != nil {
		call.done(m)
	}
	if gap != nil {
		c.emit(gap)
	}
	if news {
		c.emit(m)
	}
}

// note keeps the memberships true. news: m is an event.
func (c *Client) note(conn *Conn, m protocol.Message, answered *call) (gap *Gap, news bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if joined, ok := m.(*protocol.Joined); ok {
		c.joined(conn, joined, answered)
		return nil, true
	}
	if answered != nil {
		return nil, c.settled(conn, m, answered)
	}
	if e, ok := m.(*protocol.Error); ok {
		if room := c.in(e.Room); room != nil && room.at.Epoch == "" { // of the query
			c.forget(e.Room)
		}
		return nil, true
	}
	room := c.in(roomOf(m))
	if room == nil {
		return nil, true
	}
	left, ok := m.(*protocol.MemberLeft)
	own := ok && left.Session == c.welcome.Session
	if room.stale && !own {
		return nil, false // part of the snapshot to come
	}
	gap = room.saw(m)
	switch {
	case own:
		c.forget(room.room)
		return nil, true
	case gap != nil:
		c.writers.Go(func() { c.enter(conn, room) }) // not here: a write may have to wait for a read
	}
	return gap, gap == nil
}

// joined takes a snapshot.
func (c *Client) joined(conn *Conn, j *protocol.Joined, answered *call) {
	room := c.in(j.Room)
	if room == nil {
		room = &membership{room: j.Room}
		c.rooms = append(c.rooms, room)
	}
	if answered != nil && answered.refresh {
		c.repeat(conn, room, j)
		j.Messages = room.unseen(j)
	} else if answered != nil {
		join := answered.command.(*protocol.Join)
		room.data, room.history = join.Data, join.History
	}
	room.entered(j)
}

// settled keeps the memberships true after an answer other than Joined. news:
// nobody waits for it, and it says something.
func (c *Client) settled(conn *Conn, m protocol.Message, answered *call) (news bool) {
	room := c.in(answered.command.RoomName())
	if room == nil {
		return false
	}
	refused, _ := m.(*protocol.Error)
	switch cmd := answered.command.(type) {
	case *protocol.Update:
		if refused == nil {
			room.data = cmd.Data
		}
	case *protocol.Leave:
		if refused == nil || refused.Code == protocol.ErrNotJoined {
			c.forget(room.room)
		}
	case *protocol.Join:
		if refused != nil && answered.answer == nil {
			c.refused(conn, room, refused)
			return true
		}
	}
	return false
}

// refused keeps the memberships true when a room is not entered again.
func (c *Client) refused(conn *Conn, room *membership, e *protocol.Error) {
	switch e.Code {
	case protocol.ErrRateLimited, protocol.ErrUnavailable, protocol.ErrInternal:
		wait := max(time.Duration(e.RetryMS)*time.Millisecond, c.opts.MinBackoff)
		time.AfterFunc(wait, func() { c.enter(conn, room) })
	default:
		c.forget(room.room)
	}
}

func (c *Client) in(room string) *membership {
	for _, m := range c.rooms {
		if m.room == room {
			return m
		}
	}
	return nil
}

func (c *Client) forget(room string) {
	c.giveUp(room)
	c.rooms = slices.DeleteFunc(c.rooms, func(m *membership) bool { return m.room == room })
}

// emit waits for room among the events, unless the client was closed.
func (c *Client) emit(e Event) {
	if c.ctx.Err() != nil {
		select {
		case c.events <- e: // as far as there is room
		default:
		}
		return
	}
	select {
	case c.events <- e:
	case <-c.ctx.Done():
	}
}

// Errors of requests, besides *protocol.Error and the context's.
var (
	// ErrOffline: nothing was sent.
	ErrOffline = errors.New("offline")
	// ErrUnanswered: the connection ended before the answer came. The server
	// may or may not have done it.
	ErrUnanswered = errors.New("connection lost before the answer")
	// ErrNotJoined: the client is not in that room, nor on its way into it.
	ErrNotJoined = errors.New("not in that room")
)
