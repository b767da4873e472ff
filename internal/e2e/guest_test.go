package e2e

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"rollcall/client"
	"rollcall/protocol"
	"rollcall/protocol/stomp"
)

// guest is a client of the model test: of any protocol, over any line. Its
// methods wait until the server has answered, so that what it asked for has its
// place in the room's order by then.
type guest struct {
	s     *server
	name  string
	over  string // "websocket" of its own, or a transport of SockJS: "sockjs websocket", "sockjs xhr", …
	stomp bool

	line   line
	parser stomp.Parser
	asked  int

	mu       sync.Mutex
	session  string
	token    string
	resumed  bool
	views    map[string]*view
	answers  map[string]error // by id, or receipt
	ended    error            // the connection's; nil: it is open
	problems []string
	news     chan struct{} // closed, and replaced, with each change
}

// view is what a guest knows of a room that it is in: the snapshot, and what
// came since.
type view struct {
	subscription string // STOMP's, of the presence
	events       []protocol.Message
	offset       uint64 // of the newest event of presence
}

func newGuest(s *server, name, over string, speaksSTOMP bool) *guest {
	return &guest{s: s, name: name, over: over, stomp: speaksSTOMP, news: make(chan struct{})}
}

func (g *guest) String() string { return g.name }

// await waits until something holds. The lock is held while it is asked.
func (g *guest) await(what string, holds func() bool) error {
	deadline := time.NewTimer(patience)
	defer deadline.Stop()
	for {
		g.mu.Lock()
		holding, ended, news := holds(), g.ended, g.news
		g.mu.Unlock()
		switch {
		case holding:
			return nil
		case ended != nil:
			return fmt.Errorf("%s: waiting for %s: %w", g, what, ended)
		}
		select {
		case <-news:
		case <-deadline.C:
			return fmt.Errorf("%s: waited %s for %s", g, patience, what)
		}
	}
}

// change changes what the guest knows.
func (g *guest) change(f func()) {
	g.mu.Lock()
	defer g.mu.Unlock()
	f()
	close(g.news)
	g.news = make(chan struct{})
}

// connect connects; with a token of before it asks for that session again.
func (g *guest) connect() error {
	query := "?user=" + g.name
	if g.token != "" {
		query += "&resume=" + g.token
	}
	g.mu.Lock()
	g.session, g.resumed, g.ended, g.views, g.answers = "", false, nil, map[string]*view{}, map[string]error{}
	g.mu.Unlock()
	l, err := g.dial(query)
	if err != nil {
		return fmt.Errorf("%s: %w", g, err)
	}
	g.line, g.parser = l, stomp.Parser{Limits: stomp.DefaultLimits(1 << 20), Version: stomp.V12}
	go g.read(l)
	switch {
	case g.stomp:
		err = g.tell("CONNECT", "", "accept-version", "1.2")
	case g.over != "websocket":
		err = g.line.Write((&protocol.Ping{}).AppendJSON(nil))
	}
	if err != nil {
		return err
	}
	return g.await("its session", func() bool { return g.session != "" })
}

func (g *guest) dial(query string) (line, error) {
	transport, ok := strings.CutPrefix(g.over, "sockjs ")
	if ok {
		return g.s.dialSock(transport, query)
	}
	path, o := "/ws", client.Options{CloseTimeout: patience}
	if g.stomp {
		path, o.Protocols = "/stomp", stomp.Subprotocols
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	return client.Connect(ctx, "ws://"+g.s.addr+path+query, o)
}

// read takes what comes, until the end.
func (g *guest) read(l line) {
	for {
		b, err := l.Read()
		if err == nil {
			err = g.take(b)
		}
		if err != nil {
			g.change(func() { g.ended = err })
			return
		}
	}
}

func (g *guest) take(b []byte) error {
	if !g.stomp {
		m, err := protocol.DecodeMessage(b)
		if err == nil {
			g.change(func() { g.native(m) })
		}
		return err
	}
	for len(b) > 0 {
		f, rest, err := g.parser.Next(b)
		if err != nil {
			return err
		}
		if b = rest; f != nil {
			g.change(func() { err = g.frame(f) })
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// native takes a message of the native protocol.
func (g *guest) native(m protocol.Message) {
	switch m := m.(type) {
	case *protocol.Welcome:
		g.session, g.token, g.resumed = m.Session, m.Resume, m.Resumed
	case *protocol.OK:
		g.answers[strconv.FormatUint(m.ID, 10)] = nil
	case *protocol.Error:
		g.answers[strconv.FormatUint(m.ID, 10)] = m
	case *protocol.Joined:
		g.views[m.Room] = &view{}
		g.note(m.Room, "", m)
		g.answers[strconv.FormatUint(m.ID, 10)] = nil
	case *protocol.MemberJoined:
		g.note(m.Room, "", m)
	case *protocol.MemberUpdated:
		g.note(m.Room, "", m)
	case *protocol.Presence:
		g.note(m.Room, "", m)
	case *protocol.MemberLeft:
		g.note(m.Room, "", m)
	}
}

// frame takes a frame of STOMP.
func (g *guest) frame(f *stomp.Frame) error {
	switch f.Command {
	case "CONNECTED":
		g.session = f.Header("session")
	case "RECEIPT":
		g.answers[f.Header("receipt-id")] = nil
	case "ERROR":
		return errors.New("ERROR: " + f.Header("message"))
	case "MESSAGE":
		room, presence := strings.CutSuffix(strings.TrimPrefix(f.Header("destination"), "/topic/"), "/presence")
		if !presence {
			return nil
		}
		m, err := protocol.DecodeMessage(f.Body)
		if err != nil {
			return err
		}
		g.note(room, f.Header("subscription"), m)
	}
	return nil
}

// note adds an event to a view. The session's own leave ends it.
func (g *guest) note(room, subscription string, m protocol.Message) {
	v := g.views[room]
	if v == nil || v.subscription != subscription { // of a stay that is over
		return
	}
	offset := offsetOf(m)
	if offset == 0 { // of no presence
		return
	}
	if _, first := m.(*protocol.Joined); !first && offset <= v.offset {
		g.problems = append(g.problems, fmt.Sprintf("%s: %s: offset %d came behind %d", g, room, offset, v.offset))
	}
	v.events, v.offset = append(v.events, m), offset
	for session := range leavesIn(m) {
		if session == g.session {
			delete(g.views, room)
		}
	}
}

func offsetOf(m protocol.Message) uint64 {
	switch m := m.(type) {
	case *protocol.Joined:
		return m.Offset
	case *protocol.MemberJoined:
		return m.Offset
	case *protocol.MemberUpdated:
		return m.Offset
	case *protocol.MemberLeft:
		return m.Offset
	case *protocol.Presence:
		return m.Offset
	}
	return 0
}

// leavesIn are the sessions that leave by an event, and why.
func leavesIn(m protocol.Message) map[string]protocol.Reason {
	out := map[string]protocol.Reason{}
	switch m := m.(type) {
	case *protocol.MemberLeft:
		out[m.Session] = m.Reason
	case *protocol.Presence:
		for i := range m.Leaves {
			out[m.Leaves[i].Session] = m.Leaves[i].Reason
		}
	}
	return out
}

// members are the sessions in a room, as the guest knew them at an offset.
func (g *guest) members(room string, at uint64) []string {
	g.mu.Lock()
	defer g.mu.Unlock()
	in := map[string]bool{}
	for _, m := range g.views[room].events {
		if offsetOf(m) <= at {
			note(in, m)
		}
	}
	return slices.Sorted(maps.Keys(in))
}

// rooms are those that it is in, as far as it knows.
func (g *guest) rooms() []string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return slices.Sorted(maps.Keys(g.views))
}

// tell sends a STOMP frame of headers in pairs, and waits for its receipt where
// it asks for one.
func (g *guest) tell(command, body string, headers ...string) error {
	f := &stomp.Frame{Command: command, Body: []byte(body)}
	receipt := ""
	for i := 0; i < len(headers); i += 2 {
		f.Headers = append(f.Headers, stomp.Header{Name: headers[i], Value: headers[i+1]})
		if headers[i] == "receipt" {
			receipt = headers[i+1]
		}
	}
	if err := g.line.Write(stomp.AppendFrame(nil, stomp.V12, f)); err != nil || receipt == "" {
		return err
	}
	return g.answered(receipt)
}

// answered waits for the answer to a request.
func (g *guest) answered(id string) error {
	var answer error
	if err := g.await("the answer to "+id, func() (ok bool) { answer, ok = g.answers[id]; return ok }); err != nil {
		return err
	}
	return answer
}

// request is the next request of the native protocol; next is STOMP's receipt.
func (g *guest) request(room string) protocol.Request {
	g.asked++
	return protocol.Request{ID: uint64(g.asked), Room: room}
}

func (g *guest) next() string {
	g.asked++
	return strconv.Itoa(g.asked)
}

func (g *guest) do(c protocol.Command) error {
	if err := g.line.Write(c.AppendJSON(nil)); err != nil {
		return err
	}
	return g.answered(strconv.FormatUint(c.RequestID(), 10))
}

// join enters a room. Who speaks STOMP subscribes to its presence, and then
// perhaps to its messages.
func (g *guest) join(room string, messages bool) error {
	if !g.stomp {
		return g.do(&protocol.Join{Request: g.request(room)})
	}
	receipt := g.next()
	g.mu.Lock()
	g.views[room] = &view{subscription: "p" + receipt}
	g.mu.Unlock()
	if err := g.tell("SUBSCRIBE", "", "id", "p"+receipt, "destination", "/topic/"+room+"/presence", "receipt", receipt); err != nil {
		return err
	}
	if !messages {
		return nil
	}
	return g.tell("SUBSCRIBE", "", "id", "m"+room, "destination", "/topic/"+room, "receipt", g.next())
}

// leave leaves a room. A subscription that there is not may be ended, too.
func (g *guest) leave(room string) error {
	if !g.stomp {
		return g.do(&protocol.Leave{Request: g.request(room)})
	}
	g.mu.Lock()
	id := g.views[room].subscription
	g.mu.Unlock()
	if err := g.tell("UNSUBSCRIBE", "", "id", "m"+room, "receipt", g.next()); err != nil {
		return err
	}
	if err := g.tell("UNSUBSCRIBE", "", "id", id, "receipt", g.next()); err != nil {
		return err
	}
	g.change(func() { delete(g.views, room) })
	return nil
}

// publish sends a message to a room; who speaks STOMP need not be in it.
func (g *guest) publish(room string) error {
	if !g.stomp {
		return g.do(&protocol.Publish{Request: g.request(room), Data: json.RawMessage(`"` + g.name + `"`)})
	}
	return g.tell("SEND", g.name, "destination", "/app/"+room, "receipt", g.next())
}

// update changes the session's data; STOMP has no word for it.
func (g *guest) update(room string, n int) error {
	return g.do(&protocol.Update{Request: g.request(room), Data: json.RawMessage(strconv.Itoa(n))})
}

// part ends the connection in peace where its line can say so, and reports
// whether it could: requests can't, unless it is STOMP that does.
func (g *guest) part() (said bool, err error) {
	ws, _ := g.line.(*client.Conn)
	if k, ok := g.line.(*sock); ok {
		ws = k.ws
	}
	switch {
	case g.stomp:
		err = g.tell("DISCONNECT", "", "receipt", g.next())
	case ws != nil:
		err = ws.Close(protocol.CloseNormal, "")
	default:
		g.line.Abort()
		return false, g.gone()
	}
	if err != nil {
		return true, err
	}
	return true, g.gone()
}

// cut breaks the connection.
func (g *guest) cut() error {
	g.line.Abort()
	return g.gone()
}

// gone waits for the end of the connection.
func (g *guest) gone() error {
	err := g.await("its end", func() bool { return g.ended != nil })
	g.change(func() { g.token, g.views = "", map[string]*view{} })
	return err
}
