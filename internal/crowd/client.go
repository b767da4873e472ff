package crowd

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"net/url"
	"sync"
	"sync/atomic"
	"time"

	"rollcall/protocol"
)

// client is one of the crowd. It reads frames by their first fields, in the
// order in which the server writes them: to decode every event would cost more
// than the server's part.
type client struct {
	crowd *crowd
	user  string
	rooms []string

	connected atomic.Bool
	in        atomic.Int32 // rooms whose answer to the first join has come
	hearing   atomic.Pointer[hearing]

	mu      sync.Mutex
	wire    *Wire // nil: never connected
	session string
	resume  string
	resumed int
	bye     protocol.CloseCode
	close   protocol.CloseCode
	asked   bool // the connection asked to resume
	stays   []*stay
	wrong   string
	errors  map[protocol.ErrorCode]int
}

// hearing is how a client reads: not at all until hear is closed, or slowly.
type hearing struct {
	hear  chan struct{} // nil: reads
	every time.Duration // between two reads of most bytes; 0: as fast as it can
	most  int
}

// stay is a client's stream of one room since its newest snapshot.
type stay struct {
	room, epoch string
	mode        protocol.Mode
	from        uint64
	told        atomic.Uint64 // offset that it was told last
	digest      uint64        // sum of the hashes of its events
	whole       bool          // never in mode count: the digest is of all events
	left        protocol.Reason
}

// connect opens a connection, and reads it until its end. The first answers to
// its joins, or its failure, are counted by the crowd.
func (c *client) connect(o *Order) error {
	q := url.Values{"user": {c.user}}
	resume := ""
	c.mu.Lock()
	if o.Resume {
		resume = c.resume
	}
	c.resume = ""
	c.mu.Unlock()
	if resume == "" {
		q["room"] = c.rooms
	} else {
		q.Set("resume", resume)
	}
	header := ""
	if o.Clock != 0 {
		header = "Date: " + time.Now().Add(o.Clock).UTC().Format("Mon, 02 Jan 2006 15:04:05 GMT") + "\r\n"
	}
	w, err := Dial(c.crowd.address, q.Encode(), header, o.ReadBuffer, o.timeout())
	if err != nil {
		return err
	}
	c.mu.Lock()
	c.wire, c.bye, c.close, c.asked = w, 0, 0, resume != ""
	c.mu.Unlock()
	c.in.Store(0)
	c.connected.Store(true)
	go c.read(w)
	return nil
}

func (c *client) read(w *Wire) {
	defer c.ended(w)
	for {
		if h := c.hearing.Load(); h != nil {
			if h.hear != nil {
				<-h.hear
			}
			w.Most = h.most
			if h.every > 0 {
				<-time.After(h.every)
			}
		}
		op, payload, err := w.Frame()
		if err != nil {
			return
		}
		c.crowd.frames.Add(1)
		c.crowd.bytes.Add(int64(len(payload)))
		switch op {
		case 1:
			c.take(w, payload)
		case 8:
			c.mu.Lock()
			if c.close = protocol.CloseNoStatus; len(payload) >= 2 {
				c.close = protocol.CloseCode(binary.BigEndian.Uint16(payload))
			}
			c.mu.Unlock()
			_, _ = w.Write(Frame(8, payload[:min(len(payload), 2)]))
			return
		case 9:
			_, _ = w.Write(Frame(10, payload))
		}
		w.Slim()
	}
}

// ended notes the end of a connection, unless there is a newer one.
func (c *client) ended(w *Wire) {
	_ = w.Close()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.wire == w {
		c.connected.Store(false)
	}
}

// take takes one text frame.
func (c *client) take(w *Wire, b []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.wire != w {
		return // read from a connection that it left
	}
	switch kind := word(b, "type"); string(kind) {
	case "message":
		c.crowd.messages.Add(1)
		c.event(kind, b)
	case "join", "update", "leave", "presence", "occupancy", "mode", "joined":
		c.event(kind, b)
	case "welcome":
		c.welcome(b)
	case "bye":
		c.bye = protocol.CloseCode(number(b, "code"))
	case "error":
		c.refused(protocol.ErrorCode(word(b, "code")), string(word(b, "room")))
	}
}

// welcome begins a session, or goes on with it: then the client joins its rooms
// again from where it was.
func (c *client) welcome(b []byte) {
	var m protocol.Welcome
	if err := json.Unmarshal(b, &m); err != nil {
		c.note("welcome: %v", err)
		return
	}
	c.resume = m.Resume
	if m.Resumed {
		if m.Session != c.session {
			c.note("resumed as %s, and it was %s", m.Session, c.session)
		}
		c.resumed++
		for _, s := range c.stays {
			c.say(fmt.Sprintf(`{"type":"join","id":1,"room":%q,"since":{"epoch":%q,"offset":%d}}`, s.room, s.epoch, s.told.Load()))
		}
		return
	}
	c.session, c.stays = m.Session, nil
	if c.asked { // and was not taken for who it was
		for _, room := range c.rooms {
			c.say(fmt.Sprintf(`{"type":"join","id":1,"room":%q}`, room))
		}
	}
}

// say sends one text frame, if it can. c.mu is held.
func (c *client) say(text string) { _ = c.wire.Send(text) }

// refused counts an error; the answer to a join may be one.
func (c *client) refused(code protocol.ErrorCode, room string) {
	if c.errors == nil {
		c.errors = map[protocol.ErrorCode]int{}
	}
	c.errors[code]++
	if room != "" && c.stay([]byte(room)) == nil {
		c.in.Add(1)
	}
}

func (c *client) stay(room []byte) *stay {
	for _, s := range c.stays {
		if s.room == string(room) {
			return s
		}
	}
	return nil
}

// event follows the chain of a room. c.mu is held.
func (c *client) event(kind, b []byte) {
	room, offset := word(b, "room"), number(b, "offset")
	s := c.stay(room)
	if string(kind) == "joined" {
		c.joined(s, room, offset, b)
		return
	}
	if s == nil || s.left != "" {
		c.note("room %s: %s at %d, and it is not there", room, kind, offset)
		return
	}
	last := s.told.Load()
	prev := number(b, "prev")
	switch string(kind) {
	case "occupancy", "mode":
		if offset < last {
			c.note("room %s: %s at %d after %d", room, kind, offset, last)
		}
		if m := word(b, "mode"); m != nil {
			s.mode = protocol.Mode(m)
			s.whole = s.whole && s.mode != protocol.ModeCount
		}
	default:
		if prev == 0 {
			prev = offset - 1
			if string(kind) == "presence" {
				prev = number(b, "from") - 1
			}
		}
		if prev != last {
			c.note("room %s: %s at %d follows %d, and it was told %d last", room, kind, offset, prev, last)
		}
		if c.crowd.digests {
			h := fnv.New64a()
			_, _ = h.Write(b)
			s.digest += h.Sum64()
		}
	}
	s.told.Store(max(offset, last))
	if k := string(kind); (k == "leave" || k == "presence") && bytes.Contains(b, []byte(c.session)) {
		c.leaves(s, kind, b)
	}
}

func (c *client) joined(s *stay, room []byte, offset uint64, b []byte) {
	if s == nil {
		s = &stay{room: string(room)}
		c.stays = append(c.stays, s)
	}
	s.epoch, s.mode, s.from, s.left, s.digest = string(word(b, "epoch")), protocol.Mode(word(b, "mode")), offset, "", 0
	s.whole = s.mode != protocol.ModeCount
	s.told.Store(offset)
	if session := word(b, "session"); string(session) != c.session {
		c.note("room %s: it joined as %s and is %s", room, session, c.session)
	}
	c.in.Add(1)
}

// leaves notes the client's own leave, if it is in b.
func (c *client) leaves(s *stay, kind, b []byte) {
	m, err := protocol.DecodeMessage(b)
	if err != nil {
		c.note("%s: %v", kind, err)
		return
	}
	switch m := m.(type) {
	case *protocol.MemberLeft:
		if m.Session == c.session {
			s.left = m.Reason
		}
	case *protocol.Presence:
		for _, l := range m.Leaves {
			if l.Session == c.session {
				s.left = l.Reason
			}
		}
	}
}

// note keeps the first thing that is wrong. c.mu is held.
func (c *client) note(format string, args ...any) {
	if c.wrong == "" {
		c.wrong = fmt.Sprintf(format, args...)
	}
}

// lookahead is how far into a frame its first fields reach: names of rooms and
// users are bounded.
const lookahead = 1024

// value finds a field by its name among the first of a frame.
func value(b []byte, name string) []byte {
	head := b[:min(len(b), lookahead)]
	for at := 0; ; {
		i := bytes.Index(head[at:], []byte(name))
		if i < 0 {
			return nil
		}
		at += i
		if end := at + len(name); at > 0 && head[at-1] == '"' && bytes.HasPrefix(b[end:], []byte(`":`)) {
			return b[end+2:]
		}
		at++
	}
}

// word is the value of a field that is a word; nil: there is none.
func word(b []byte, name string) []byte {
	v := value(b, name)
	if len(v) == 0 || v[0] != '"' {
		return nil
	}
	w, _, _ := bytes.Cut(v[1:], []byte{'"'})
	return w
}

func number(b []byte, name string) (n uint64) {
	for _, d := range value(b, name) {
		if d < '0' || d > '9' {
			break
		}
		n = n*10 + uint64(d-'0')
	}
	return n
}
