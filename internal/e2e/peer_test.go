package e2e

import (
	"context"
	"encoding/json"
	"errors"
	"net/url"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"rollcall/client"
	"rollcall/internal/freezer"
	"rollcall/protocol"
)

// peer is one WebSocket of a test, without any will of its own: it reads all
// the time and keeps what came.
type peer struct {
	*client.Conn
	t       testing.TB
	session string

	mu    sync.Mutex
	got   []protocol.Message // in order
	read  int                // of got, by the test
	ended *client.CloseError // nil: not yet
	more  chan struct{}      // told of news
}

// connect opens a connection; the query as in docs/protocol.md §2.
func connect(t testing.TB, addr, query string) *peer {
	t.Helper()
	p := open(t, addr, query, client.Options{})
	go p.readAll()
	p.session = want[*protocol.Welcome](p).Session
	return p
}

// open is connect without reading.
func open(t testing.TB, addr, query string, o client.Options) *peer {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	values, err := url.ParseQuery(query)
	require.NoError(t, err)
	o.CloseTimeout = patience
	conn, err := client.Connect(ctx, "ws://"+addr+"/ws?"+values.Encode(), o)
	require.NoError(t, err)
	p := &peer{Conn: conn, t: t, more: make(chan struct{}, 1)}
	t.Cleanup(conn.Abort)
	return p
}

func (p *peer) readAll() {
	for {
		b, err := p.Read()
		var m protocol.Message
		if err == nil {
			m, err = protocol.DecodeMessage(b)
		}
		p.mu.Lock()
		if err != nil {
			p.ended = &client.CloseError{Err: err}
			errors.As(err, &p.ended)
		} else if m != nil {
			p.got = append(p.got, m)
		}
		p.mu.Unlock()
		select {
		case p.more <- struct{}{}:
		default:
		}
		if err != nil {
			return
		}
	}
}

// send sends one command.
func (p *peer) send(c protocol.Command) {
	p.t.Helper()
	require.NoError(p.t, p.Write(c.AppendJSON(nil)))
}

// seen is every message that came so far, in order.
func (p *peer) seen() []protocol.Message {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.got)
}

// next returns the next message, or nil after the end.
func (p *peer) next() protocol.Message {
	p.t.Helper()
	deadline := time.After(patience)
	for {
		p.mu.Lock()
		if p.read < len(p.got) {
			m := p.got[p.read]
			p.read++
			p.mu.Unlock()
			return m
		}
		ended := p.ended
		p.mu.Unlock()
		if ended != nil {
			return nil
		}
		select {
		case <-p.more:
		case <-deadline:
			p.t.Fatalf("nothing came for %s", patience)
		}
	}
}

// want returns the next message of one type, and passes over the others.
func want[M protocol.Message](p *peer) M {
	p.t.Helper()
	return wantThat(p, func(M) bool { return true })
}

// wantThat returns the next message of one type that fits.
func wantThat[M protocol.Message](p *peer, fits func(M) bool) M {
	p.t.Helper()
	for {
		m := p.next()
		if m == nil {
			p.t.Fatalf("the connection ended (%v) before a %T came", p.ended, *new(M))
		}
		if typed, ok := m.(M); ok && fits(typed) {
			return typed
		}
	}
}

// end waits for the end of the connection and returns it.
func (p *peer) end() *client.CloseError {
	p.t.Helper()
	for p.next() != nil {
	}
	return p.ended
}

// join joins a room and returns the snapshot.
func (p *peer) join(room string) *protocol.Joined {
	p.t.Helper()
	p.send(&protocol.Join{Request: protocol.Request{ID: 1, Room: room}})
	return want[*protocol.Joined](p)
}

// leavesOf returns the leaves of a session that the peer sees up to a mark
// that it publishes itself after the first, or up to its own end.
func (p *peer) leavesOf(room, session string) []*protocol.MemberLeft {
	p.t.Helper()
	var leaves []*protocol.MemberLeft
	for {
		switch m := p.next().(type) {
		case nil:
			return leaves
		case *protocol.MemberLeft:
			if m.Session != session {
				continue
			}
			if leaves = append(leaves, m); len(leaves) == 1 {
				mark := &protocol.Publish{Request: protocol.Request{Room: room}, Data: json.RawMessage(`"mark"`)}
				_ = p.Write(mark.AppendJSON(nil)) // it may be ended itself
			}
		case *protocol.MessagePublished:
			if string(m.Data) == `"mark"` {
				return leaves
			}
		}
	}
}

// newFreezer starts a proxy to a server, to end with the test.
func newFreezer(t testing.TB, target string) *freezer.Proxy {
	t.Helper()
	p, err := freezer.New(target)
	require.NoError(t, err)
	t.Cleanup(p.Close)
	return p
}
