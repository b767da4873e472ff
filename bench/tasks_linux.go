package bench

import "math/rand/v2"

// stallTimeout is how long nothing may come before what is missing is given up
// as lost.
const stallTimeout = 5e9

// entrance opens all connections, some at a time.
type entrance struct {
	idle
	load  *load
	next  int
	over  int // are in, or failed
	whole int // know of everybody; -1: nobody asks
	dial  func(*conn)
}

func newOpening(l *load, o *Order) *entrance {
	t := &entrance{load: l, whole: -1, dial: (*conn).begin}
	if o.Whole {
		t.whole = 0
	}
	t.begin(o.Window)
	return t
}

// newResuming cuts all connections, and opens them again as the same sessions.
func newResuming(l *load, o *Order) *entrance {
	for i := range l.conns {
		l.conns[i].cut()
	}
	t := &entrance{load: l, whole: -1, dial: (*conn).dialAgain}
	t.begin(o.Window)
	return t
}

func (t *entrance) begin(window int) {
	if window == 0 {
		window = openWindow
	}
	for i := range t.load.conns {
		t.load.conns[i].count = 0
	}
	for range window {
		t.more()
	}
}

// more opens the next connection, if there is one.
func (t *entrance) more() {
	if t.next < len(t.load.conns) {
		t.next++
		t.dial(&t.load.conns[t.next-1])
	}
}

func (t *entrance) in(c *conn) {
	t.over++
	t.load.tally.Connections++
	t.more()
	t.saw(c)
}

func (t *entrance) gone(c *conn) {
	c.load.wrong("a connection ended before the client was in its room")
	t.over++
	t.more()
}

// saw counts the clients whose view of their room is whole.
func (t *entrance) saw(c *conn) {
	if t.whole < 0 {
		return
	}
	knows := 0
	if c.members == c.roomSize() {
		knows = 1
	}
	t.whole += knows - c.count
	c.count = knows
}

func (t *entrance) done() bool {
	return t.over == len(t.load.conns) && (t.whole < 0 || t.whole == len(t.load.conns))
}

// roomSize is how many clients are for the room.
func (c *conn) roomSize() int {
	crowd := &c.load.crowd
	return min(crowd.PerRoom, crowd.Total-c.client.Index/crowd.PerRoom*crowd.PerRoom)
}

// watch listens for a time.
type watch struct {
	idle
	over bool
}

func newWatch(l *load, o *Order) *watch {
	l.alarm(now() + int64(o.For))
	return &watch{}
}

func (t *watch) due(int64)  { t.over = true }
func (t *watch) done() bool { return t.over }

// farewell ends all connections.
type farewell struct {
	idle
	load *load
	open int
}

func newClosing(l *load, o *Order) *farewell {
	t := &farewell{load: l}
	for i := range l.conns {
		switch c := &l.conns[i]; {
		case c.fd < 0:
		case o.Abrupt:
			c.cut()
		default:
			t.open++
			c.goodbye()
		}
	}
	return t
}

func (t *farewell) gone(*conn) { t.open-- }
func (t *farewell) done() bool { return t.open == 0 }

// talk has senders say things, and everybody hear them.
type talk struct {
	idle
	load    *load
	o       Order
	senders []*conn
	body    []byte
	text    []byte
	sent    int
	start   int64
	last    int64 // when something was heard or said last
}

func newTalk(l *load, o *Order) *talk {
	t := &talk{load: l, o: *o, start: now()}
	t.last = t.start
	for i := range l.conns {
		c := &l.conns[i]
		c.count = 0
		c.ledger = ledger{heard: make([]uint32, min(o.Senders, c.roomSize()))}
		l.tally.Expected += len(c.ledger.heard) * o.Each
		if c.sender() < len(c.ledger.heard) {
			t.senders = append(t.senders, c)
		}
	}
	if o.Rate > 0 {
		t.due(t.start)
		return t
	}
	for _, c := range t.senders {
		t.fill(c)
	}
	return t
}

// sender is the client's number in its room.
func (c *conn) sender() int { return c.client.Index % c.load.crowd.PerRoom }

// say has a client say the next thing, which was due at an instant.
func (t *talk) say(c *conn, at int64) {
	c.count++
	t.sent++
	t.load.tally.Sent++
	m := body{run: t.load.run, sender: uint64(c.sender()), seq: uint64(c.count), at: uint64(at)}
	t.body = m.append(t.body[:0], t.o.Bytes-2)
	t.text = t.load.dialect.Publish(t.text[:0], &c.client, t.body)
	c.text(t.text)
}

// fill keeps as much of a sender under way as the window lets.
func (t *talk) fill(c *conn) {
	for c.count < t.o.Each && (t.o.Window == 0 || c.count-int(c.ledger.heard[c.sender()]) < t.o.Window) {
		t.say(c, now())
	}
}

// due says what is due by the rate, whether or not what was said before has
// come: a server that is late does not slow the clock that it is measured by.
func (t *talk) due(now int64) {
	for t.sent < len(t.senders)*t.o.Each {
		at := t.start + int64(float64(t.sent)/t.o.Rate*1e9)
		if at > now {
			t.load.alarm(at)
			return
		}
		t.say(t.senders[t.sent%len(t.senders)], at)
	}
	t.last = now
}

func (t *talk) heard(c *conn, m body) {
	l := t.load
	if m.run != l.run { // of a run whose messages have all come
		l.tally.Duplicated++
		return
	}
	switch c.ledger.note(m.sender, m.seq) {
	case expected:
	case late:
		l.tally.Disordered++
	case twice, stray:
		l.tally.Duplicated++
		return
	}
	l.tally.Delivered++
	l.tally.Latency.Add(l.taken - int64(m.at))
	t.last = l.taken
	if t.o.Rate == 0 && m.sender == uint64(c.sender()) {
		t.fill(c)
	}
}

func (t *talk) done() bool {
	return t.load.tally.Delivered >= t.load.tally.Expected || t.sent == len(t.senders)*t.o.Each && now()-t.last > stallTimeout
}

func (t *talk) end() {
	for i := range t.load.conns {
		t.load.tally.Lost += t.load.conns[i].ledger.lost(t.o.Each)
	}
}

// churn has every client come and go, over and over.
type churn struct {
	idle
	load *load
	each int
	todo int // visits that are not over
	text []byte
}

func newChurn(l *load, o *Order) *churn {
	t := &churn{load: l, each: o.Each, todo: o.Each * len(l.conns)}
	for i := range l.conns {
		l.conns[i].count = 0
		l.conns[i].begin()
	}
	return t
}

func (t *churn) in(c *conn) {
	t.load.tally.Connections++
	if t.text = t.load.dialect.Leave(t.text[:0], &c.client); len(t.text) == 0 {
		c.goodbye()
		return
	}
	c.text(t.text)
}

func (t *churn) left(c *conn) { c.goodbye() }

func (t *churn) gone(c *conn) {
	t.todo--
	if c.count++; c.count < t.each {
		c.begin()
	}
}

func (t *churn) done() bool { return t.todo == 0 }

// walk has clients join, update and leave at random: who is in its room
// updates three times out of four, and leaves else; who is out joins.
type walk struct {
	idle
	load    *load
	mover   Mover
	rate    float64
	random  *rand.Rand
	start   int64
	until   int64
	turns   int // that were due
	pending int // moves that have no answer yet
	inside  map[string]int
	text    []byte
	data    []byte
}

// What a client does now, in conn.count.
const (
	isIn = iota
	isOut
	isMoving
)

func newWalk(l *load, m Mover, o *Order) *walk {
	t := &walk{load: l, mover: m, rate: o.Rate, random: rand.New(rand.NewPCG(o.Seed, 1)), start: now(), inside: map[string]int{}}
	t.until = t.start + int64(o.For)
	for i := range l.conns {
		c := &l.conns[i]
		if c.count = isIn; c.outside { // since the walk before
			c.count = isOut
			continue
		}
		t.inside[c.client.Room]++
	}
	t.due(t.start)
	return t
}

func (t *walk) due(now int64) {
	for {
		at := t.start + int64(float64(t.turns)/t.rate*1e9)
		if at >= t.until {
			return
		}
		if at > now {
			t.load.alarm(at)
			return
		}
		t.turns++
		t.move(&t.load.conns[t.random.IntN(len(t.load.conns))], at)
	}
}

// move makes one move. Who is still waiting for an answer lets it pass.
func (t *walk) move(c *conn, at int64) {
	if c.count == isMoving {
		return
	}
	t.load.tally.Sent++
	t.data = append(t.data[:0], '"')
	t.data = append(body{run: t.load.run, at: uint64(at)}.append(t.data, bodyBytes), '"')
	switch {
	case c.count == isOut:
		t.inside[c.client.Room]++
		t.pending++
		c.count = isMoving
		t.text = t.mover.Join(t.text[:0], &c.client, t.data)
	case t.random.IntN(4) > 0:
		t.text = t.mover.Update(t.text[:0], &c.client, t.data)
	default:
		t.inside[c.client.Room]--
		t.pending++
		c.count = isMoving
		t.text = t.mover.Leave(t.text[:0], &c.client)
	}
	c.text(t.text)
}

func (t *walk) in(c *conn) {
	t.pending--
	c.count, c.outside = isIn, false
}

func (t *walk) left(c *conn) {
	t.pending--
	c.count, c.outside = isOut, true
}

func (t *walk) heard(c *conn, m body) {
	if m.run == t.load.run {
		t.load.tally.Delivered++
		t.load.tally.Latency.Add(t.load.taken - int64(m.at))
	}
}

// done is when the time is over, all is answered, and every client knows how
// many are in its room; or when it is given up that it will.
func (t *walk) done() bool {
	over := now() - t.until
	return over >= 0 && t.pending == 0 && t.wrong() == 0 || over > stallTimeout
}

// wrong is how many clients have a wrong view of their room.
func (t *walk) wrong() (n int) {
	for i := range t.load.conns {
		if c := &t.load.conns[i]; c.count == isIn && c.members != t.inside[c.client.Room] {
			n++
		}
	}
	return n
}

func (t *walk) end() { t.load.tally.Lost = t.wrong() + t.pending }
