package stomp

import (
	"encoding/json"
	"maps"
	"strconv"
	"strings"

	"rollcall/protocol"
)

// Session is one STOMP client's conversation: fresh until CONNECT, then
// connected until DISCONNECT or ERROR, then over. It is given frames by Receive,
// and what the server has to say to this client alone by Answer, and says what
// is to be done. What a room tells goes to streams instead.
//
// It is called by one goroutine at a time.
type Session struct {
	Routes *Routes // of SENDs; nil: none

	hello   Hello
	session string // the server's id of it
	state   state
	failure *Frame // the ERROR that ends it; nil: none did

	subscriptions map[string]*subscription // by key
	requests      map[uint64]*request      // that are not answered yet
	last          uint64                   // request
	transactions  map[string]*transaction
	held          int     // bytes that wait in transactions
	farewell      *string // the receipt of DISCONNECT, while it waits for requests; empty: none is asked for
	messages      uint64  // from queues, so far
}

type state uint8

const (
	fresh state = iota
	live
	over
)

// Bounds of what one session makes the server keep.
const (
	maxSubscriptions = 256
	maxTransactions  = 16
	maxSends         = 64      // of one transaction
	maxHeldBytes     = 1 << 20 // in all open transactions, besides a single larger message
	maxRequests      = 1024
	maxTokenBytes    = 256 // ids of subscriptions, transactions and receipts
)

type subscription struct {
	destination destination
	stream      Stream
	key         string
	live        bool // the room has answered
}

// request is something that will be answered.
type request struct {
	receipt   string        // wanted once all of it is done; empty: none
	left      int           // what is not done yet: one, or the sends of a transaction
	subscribe *subscription // that it makes; nil: none
	ends      *subscription // that it ends; nil: none
}

// transaction is what waits for COMMIT.
type transaction struct {
	publishes []*protocol.Publish
	directs   []*Direct
	bytes     int
	held      int // bytes of data and headers
}

// Effect is something to be done: *Reply, *Fail, *Close, *Connect, *Subscribe,
// *Unsubscribe, *Leave or *Send.
type Effect any

type (
	// Reply is a frame for the client.
	Reply struct{ *Frame }
	// Fail ends the session: with ERROR, and then a close.
	Fail struct {
		*Frame
		Reason string // of the close
	}
	// Close ends the connection, in peace.
	Close struct{}
	// Connect makes the client. Its Welcome is to be answered.
	Connect struct{ Hello }
	// Subscribe has the room's stream begin, and joins the room first.
	Subscribe struct {
		Join   *protocol.Join
		Stream Stream
	}
	// Unsubscribe ends a stream. The client stays in the room.
	Unsubscribe struct {
		protocol.Request
		Stream Stream
	}
	// Leave ends the last stream of a room, and the stay there.
	Leave struct{ *protocol.Leave }
	// Send is what SEND, or COMMIT, sends: all of it, in order, or nothing.
	Send struct {
		Publishes []*protocol.Publish
		Directs   []*Direct
		Bytes     int // of the bodies
	}
)

// Direct is a message to a user's queue.
type Direct struct {
	ID            uint64 // of the request
	User, Queue   string
	Data, Headers json.RawMessage
}

// Version is the one that was agreed on; none before CONNECT.
func (s *Session) Version() Version { return s.hello.Version }

// Over reports whether it has ended: frames mean nothing any more.
func (s *Session) Over() bool { return s.state == over }

// Receive takes a frame of the client.
func (s *Session) Receive(f *Frame) []Effect {
	switch {
	case s.state == over:
		return nil
	case len(f.Body) > 0 && f.Command != "SEND":
		return s.fail(f, "only SEND may have a body")
	case len(f.Header("receipt")) > maxTokenBytes:
		return s.fail(&Frame{}, "receipt is longer than 256 bytes")
	case f.Command == "CONNECT", f.Command == "STOMP":
		return s.connect(f)
	case s.state == fresh:
		return s.fail(f, "the first frame must be CONNECT or STOMP")
	case len(s.requests) > maxRequests:
		return s.fail(f, "too many requests wait for their answers")
	}
	switch f.Command {
	case "SEND":
		return s.send(f)
	case "SUBSCRIBE":
		return s.subscribe(f)
	case "UNSUBSCRIBE":
		return s.unsubscribe(f)
	case "ACK", "NACK":
		return s.acknowledge(f)
	case "BEGIN", "COMMIT", "ABORT":
		return s.transact(f)
	case "DISCONNECT":
		return s.disconnect(f)
	}
	return s.fail(f, "there is no such command for clients")
}

// Broken ends the session for bytes that are no frame: f is what could be read
// of it, nil nothing. ERROR names its receipt, where that was read (§ERROR).
func (s *Session) Broken(f *Frame, what string) []Effect {
	if s.state == over {
		return nil
	}
	if f == nil || len(f.Header("receipt")) > maxTokenBytes {
		f = &Frame{}
	}
	return s.fail(f, what)
}

// fail ends the session for what a frame says. Details are for people.
func (s *Session) fail(f *Frame, message string, more ...Header) []Effect {
	e := &Frame{Command: "ERROR", Headers: []Header{{"message", message}}, Body: []byte(message + "\n")}
	if receipt := f.Header("receipt"); receipt != "" {
		e.Headers = append(e.Headers, Header{"receipt-id", receipt})
	}
	e.Headers = append(e.Headers, more...)
	e.Headers = append(e.Headers, Header{"content-type", "text/plain"})
	s.state, s.failure = over, e
	return []Effect{&Fail{e, message}}
}

func receipt(id string) []Effect {
	if id == "" {
		return nil
	}
	return []Effect{&Reply{&Frame{Command: "RECEIPT", Headers: []Header{{"receipt-id", id}}}}}
}

func (s *Session) connect(f *Frame) []Effect {
	if s.state != fresh {
		return s.fail(f, "the session is connected already")
	}
	h, err := readConnect(f)
	if err != nil {
		return s.fail(f, err.Error(), Header{"version", Versions})
	}
	s.hello, s.state = h, live
	s.subscriptions, s.requests, s.transactions = map[string]*subscription{}, map[uint64]*request{}, map[string]*transaction{}
	return []Effect{&Connect{h}}
}

// ask notes a request that a receipt may be wanted for, and returns its id.
func (s *Session) ask(r *request) uint64 {
	s.last++
	s.requests[s.last] = r
	return s.last
}

func (s *Session) subscribe(f *Frame) []Effect {
	to := f.Header("destination")
	id, hasID := f.Lookup("id")
	d, ok := parseDestination(to)
	key := "i" + id
	if id == "" {
		key = "d" + to // 1.0 may go without (STOMP 1.0 §SUBSCRIBE)
	}
	_, twice := s.subscriptions[key]
	acks := f.Header("ack")
	join, readable := readJoin(f, d.room)
	switch {
	case to == "":
		return s.fail(f, "SUBSCRIBE needs a destination; "+served)
	case !ok || d.kind == application || d.kind == queueOf:
		return s.fail(f, "there is no such destination to subscribe to; "+served)
	case id == "" && (hasID || s.hello.Version > V10):
		return s.fail(f, "SUBSCRIBE needs an id")
	case len(id) > maxTokenBytes:
		return s.fail(f, "the id of a subscription is longer than 256 bytes")
	case twice:
		return s.fail(f, "there is a subscription with this id already")
	case acks != "" && acks != "auto" && acks != "client" && acks != "client-individual":
		return s.fail(f, "ack must be auto, client or client-individual")
	case len(s.subscriptions) >= maxSubscriptions:
		return s.fail(f, "the session has as many subscriptions as it may have")
	case !readable:
		return s.fail(f, "rollcall-history must be an integer from 0 to 100, rollcall-since a message-id and rollcall-observe true or false")
	}
	sub := &subscription{destination: d, key: key, stream: Stream{
		Version: s.hello.Version, ID: id, Room: d.room, Presence: d.kind == presence, Ack: acks != "" && acks != "auto",
	}}
	s.subscriptions[key] = sub
	if d.kind == ownQueue {
		return receipt(f.Header("receipt"))
	}
	join.ID = s.ask(&request{receipt: f.Header("receipt"), left: 1, subscribe: sub})
	return []Effect{&Subscribe{join, sub.stream}}
}

// readJoin reads what a SUBSCRIBE wants of the room's history.
func readJoin(f *Frame, room string) (j *protocol.Join, ok bool) {
	j = &protocol.Join{Request: protocol.Request{Room: room}}
	if v, has := f.Lookup("rollcall-history"); has {
		n, err := strconv.ParseUint(v, 10, 16)
		if err != nil || n > protocol.MaxHistoryLimit {
			return j, false
		}
		j.History = int(n)
	}
	if v, has := f.Lookup("rollcall-since"); has {
		epoch, offset, _ := strings.Cut(v, "-")
		n, err := strconv.ParseUint(offset, 10, 53)
		if err != nil || epoch == "" || len(epoch) > protocol.MaxEpochBytes {
			return j, false
		}
		j.Since = &protocol.Position{Epoch: epoch, Offset: n}
	}
	switch v, has := f.Lookup("rollcall-observe"); {
	case v == "true":
		j.Observe = true
	case has && v != "false":
		return j, false
	}
	return j, true
}

func (s *Session) unsubscribe(f *Frame) []Effect {
	key := "d" + f.Header("destination")
	if id, ok := f.Lookup("id"); ok {
		key = "i" + id
	} else if s.hello.Version > V10 || key == "d" {
		return s.fail(f, "UNSUBSCRIBE needs the id of a subscription")
	}
	sub := s.subscriptions[key]
	if sub == nil { // the server may have ended it meanwhile
		return receipt(f.Header("receipt"))
	}
	delete(s.subscriptions, key)
	room := sub.destination.room
	if room == "" {
		return receipt(f.Header("receipt"))
	}
	r := protocol.Request{ID: s.ask(&request{receipt: f.Header("receipt"), left: 1, ends: sub}), Room: room}
	for _, other := range s.subscriptions {
		if other.destination.room == room {
			return []Effect{&Unsubscribe{r, sub.stream}}
		}
	}
	return []Effect{&Leave{&protocol.Leave{Request: r}}}
}

func (s *Session) send(f *Frame) []Effect {
	d, ok := parseDestination(s.Routes.of(f.Header("destination")))
	contentType := f.Header("content-type")
	data, text, utf8 := dataOf(f.Body, contentType)
	headers, fit := headersOf(f, text && isJSON(contentType))
	switch {
	case f.Header("destination") == "":
		return s.fail(f, "SEND needs a destination; "+served)
	case !ok || d.kind == presence || d.kind == ownQueue:
		return s.fail(f, "there is no such destination to send to; "+served)
	case !utf8:
		return s.fail(f, "the body is not valid UTF-8")
	case !fit:
		return s.fail(f, "the headers that go along with a message are more than 32, 2 KiB of JSON, or have a name that is not 1 to 64 printable ASCII characters")
	}
	name, within := f.Lookup("transaction")
	tx := s.transactions[name]
	switch {
	case !within:
		tx = &transaction{}
	case tx == nil:
		return s.fail(f, "there is no such transaction")
	case len(tx.publishes)+len(tx.directs) >= maxSends:
		return s.fail(f, "the transaction has as many frames as it may have")
	case s.held > 0 && s.held+len(data)+len(headers) > maxHeldBytes:
		return s.fail(f, "the open transactions hold as much as they may hold")
	default:
		tx.held += len(data) + len(headers)
		s.held += len(data) + len(headers)
	}
	tx.bytes += len(f.Body)
	if d.kind == queueOf {
		tx.directs = append(tx.directs, &Direct{User: d.user, Queue: d.name, Data: data, Headers: headers})
	} else {
		tx.publishes = append(tx.publishes, &protocol.Publish{Request: protocol.Request{Room: d.room}, Data: data, Headers: headers})
	}
	if within {
		return receipt(f.Header("receipt"))
	}
	return s.commit(tx, f.Header("receipt"))
}

// commit sends what a transaction holds. Its receipt comes with the last answer.
func (s *Session) commit(tx *transaction, wanted string) []Effect {
	one := &request{receipt: wanted, left: len(tx.publishes) + len(tx.directs)}
	if one.left == 0 {
		return receipt(wanted)
	}
	for _, p := range tx.publishes {
		p.ID = s.ask(one)
	}
	for _, d := range tx.directs {
		d.ID = s.ask(one)
	}
	return []Effect{&Send{tx.publishes, tx.directs, tx.bytes}}
}

func (s *Session) transact(f *Frame) []Effect {
	name := f.Header("transaction")
	tx := s.transactions[name]
	switch {
	case name == "":
		return s.fail(f, f.Command+" needs a transaction")
	case len(name) > maxTokenBytes:
		return s.fail(f, "the name of a transaction is longer than 256 bytes")
	case f.Command == "BEGIN" && tx != nil:
		return s.fail(f, "there is a transaction of this name already")
	case f.Command == "BEGIN" && len(s.transactions) >= maxTransactions:
		return s.fail(f, "the session has as many transactions as it may have")
	case f.Command == "BEGIN":
		s.transactions[name] = &transaction{}
		return receipt(f.Header("receipt"))
	case tx == nil:
		return s.fail(f, "there is no such transaction")
	}
	delete(s.transactions, name)
	s.held -= tx.held
	if f.Command == "COMMIT" {
		return s.commit(tx, f.Header("receipt"))
	}
	return receipt(f.Header("receipt"))
}

// acknowledge takes an ACK or a NACK. A message is delivered at most once, so
// there is nothing to do for either but to hold it to the rules.
func (s *Session) acknowledge(f *Frame) []Effect {
	needs := []string{"id"}
	switch s.hello.Version {
	case V11:
		needs = []string{"message-id", "subscription"}
	case V10:
		if needs = []string{"message-id"}; f.Command == "NACK" {
			return s.fail(f, "there is no NACK in STOMP 1.0")
		}
	}
	for _, name := range needs {
		if f.Header(name) == "" {
			return s.fail(f, f.Command+" needs "+name)
		}
	}
	if name, within := f.Lookup("transaction"); within && s.transactions[name] == nil {
		return s.fail(f, "there is no such transaction")
	}
	return receipt(f.Header("receipt"))
}

// disconnect ends the conversation, once all that was asked before is answered.
func (s *Session) disconnect(f *Frame) []Effect {
	wanted := f.Header("receipt")
	s.state, s.farewell = over, &wanted
	return s.depart()
}

func (s *Session) depart() []Effect {
	if s.farewell == nil || len(s.requests) > 0 {
		return nil
	}
	effects := append(receipt(*s.farewell), &Close{})
	s.farewell = nil
	return effects
}

// Hurry has a DISCONNECT wait no longer for what was asked before.
func (s *Session) Hurry() []Effect {
	s.requests = nil
	return s.depart()
}

// Answer takes what the server says to this client alone: Welcome, the answers
// to requests, its own leave from a room, and Bye.
func (s *Session) Answer(m protocol.Message) []Effect {
	switch m := m.(type) {
	case *protocol.Welcome:
		s.session = m.Session
		return []Effect{&Reply{connected(&s.hello, m)}}
	case *protocol.OK:
		return s.done(m.ID)
	case *protocol.Error:
		return s.refused(m)
	case *protocol.MemberLeft:
		return s.left(m)
	case *protocol.Bye:
		return s.bye(m)
	}
	return nil
}

// done answers a request.
func (s *Session) done(id uint64) []Effect {
	r := s.requests[id]
	if r == nil {
		return nil
	}
	delete(s.requests, id)
	if r.subscribe != nil {
		r.subscribe.live = true
	}
	var effects []Effect
	if r.left--; r.left == 0 {
		effects = receipt(r.receipt)
	}
	return append(effects, s.depart()...)
}

// refused answers a request that came to nothing: on the user's error queue, or
// with ERROR where nobody listens there. A transaction is refused once.
func (s *Session) refused(e *protocol.Error) []Effect {
	f := &Frame{}
	if r := s.requests[e.ID]; r != nil {
		if sub := r.subscribe; sub != nil && s.subscriptions[sub.key] != sub { // unsubscribed meanwhile
			return s.done(e.ID)
		}
		if sub := r.ends; sub != nil {
			if e.Code == protocol.ErrNotJoined { // the room ended it meanwhile
				return s.done(e.ID)
			}
			s.subscriptions[sub.key] = sub // it goes on
		}
		maps.DeleteFunc(s.requests, func(_ uint64, other *request) bool { return other == r })
		if r.receipt != "" {
			f.Headers = []Header{{"receipt", r.receipt}}
		}
		if r.subscribe != nil {
			delete(s.subscriptions, r.subscribe.key)
		}
	}
	if s.state == over {
		return s.depart()
	}
	told := *e
	told.ID = 0
	if effects := s.complain(f, &told); effects != nil {
		return effects
	}
	more := []Header{{"rollcall-code", string(e.Code)}}
	if e.Room != "" {
		more = append(more, Header{"rollcall-room", e.Room})
	}
	if e.RetryMS > 0 {
		more = append(more, Header{"rollcall-retry-ms", strconv.FormatInt(e.RetryMS, 10)})
	}
	return s.fail(f, e.Message, more...)
}

// complain tells something on the user's error queue; nil: nobody listens.
func (s *Session) complain(f *Frame, m protocol.Message) []Effect {
	more := []Header(nil)
	if r := f.Header("receipt"); r != "" {
		more = []Header{{"receipt-id", r}}
	}
	return s.queue("errors", jsonType, m.AppendJSON(nil), more)
}

// left hears of the session's own leave from a room. One that it did not ask for
// ends its subscriptions there: it is told so where it can be.
func (s *Session) left(m *protocol.MemberLeft) []Effect {
	if m.Reason == protocol.ReasonLeft || s.state == over {
		return nil
	}
	seen, any := false, false
	for key, sub := range s.subscriptions {
		if sub.destination.room == m.Room && sub.live {
			delete(s.subscriptions, key)
			any, seen = true, seen || sub.stream.Presence
		}
	}
	if !any || seen {
		return nil
	}
	if effects := s.complain(&Frame{}, m); effects != nil {
		return effects
	}
	return s.fail(&Frame{}, "the session was taken out of the room", Header{"rollcall-room", m.Room}, Header{"rollcall-reason", string(m.Reason)})
}

// bye is the server's last word.
func (s *Session) bye(m *protocol.Bye) []Effect {
	if s.failure == nil {
		s.fail(&Frame{}, m.Reason, Header{"rollcall-code", strconv.Itoa(int(m.Code))},
			Header{"rollcall-reconnect", strconv.FormatBool(m.Reconnect)}, Header{"rollcall-after-ms", strconv.FormatInt(m.AfterMS, 10)})
	}
	s.state = over
	return []Effect{&Reply{s.failure}}
}

// Deliver gives the session a message to one of its user's queues: a frame for
// each subscription to it.
func (s *Session) Deliver(queue string, d *Direct, from ...Header) []Effect {
	if s.state != live {
		return nil
	}
	body, contentType := bodyOf(d.Data, d.Headers)
	more := append([]Header(nil), from...)
	protocol.EachHeader(d.Headers, func(name, value []byte) bool {
		if n := string(name); n != "content-type" && passes(n) {
			more = append(more, Header{n, string(value)})
		}
		return true
	})
	return s.queue(queue, contentType, body, more)
}

// queue tells something to each subscription to a queue of the user's own.
func (s *Session) queue(name, contentType string, body []byte, more []Header) (effects []Effect) {
	for _, sub := range s.subscriptions {
		if sub.destination.kind != ownQueue || sub.destination.name != name {
			continue
		}
		s.messages++
		id := s.session + "-" + strconv.FormatUint(s.messages, 10)
		f := &Frame{Command: "MESSAGE", Body: body, Headers: []Header{
			{"message-id", id}, {"destination", "/user/queue/" + name}, {"content-type", contentType},
		}}
		if sub.stream.ID != "" {
			f.Headers = append(f.Headers, Header{"subscription", sub.stream.ID})
		}
		if sub.stream.Ack && s.hello.Version >= V12 {
			f.Headers = append(f.Headers, Header{"ack", id})
		}
		f.Headers = append(f.Headers, more...)
		effects = append(effects, &Reply{f})
	}
	return effects
}
