package actors

import (
	"math"
	"runtime"
	"sync"
	"sync/atomic"

	"github.com/asynkron/protoactor-go/actor"
)

// strand runs actors that have much to say to each other, a room and its
// sessions, on one goroutine, which lives while there is something to handle:
// messages in the order in which they came, system messages first. What one of
// them sends to another waits for its turn, and needs no goroutine, no wake-up
// and no processor of its own; for a message to a room of ten those were most of
// what it cost. Any goroutine may post.
//
// A strand that is light may run on the goroutine that serves a connection, for
// some messages: then not even one wakes for what comes from there. Waking cost
// a room of ten a quarter of a message: of an idle processor, to look for work.
//
// An actor that does not come back holds up those on its strand: handlers do not
// block.
type strand struct {
	// rest is called when nothing is left to handle, and now and then before; it
	// may post. Set before the first message, by the strand's own actor; may be
	// nil.
	rest func()
	turn func() // work for a turn

	light atomic.Bool // its actors take microseconds

	mu      sync.Mutex
	system  queue
	user    queue
	running bool // somebody handles messages
}

// mailbox is an actor's place on its strand. The library's costs 175 bytes in six
// objects while nothing is in it, which is nearly always, and there are as many
// as members; this one 48, in one.
type mailbox struct {
	strand  *strand
	invoker actor.MessageInvoker // set before the first message

	// Under strand.mu. From a panic until its parent has decided an actor is
	// suspended: it gets system messages alone.
	held      queue // what came meanwhile
	suspended bool
}

// newMailbox implements actor.MailboxProducer, for an actor by itself.
func newMailbox() actor.Mailbox { return newStrand(nil).mailbox() }

func newStrand(rest func()) *strand {
	s := &strand{rest: rest}
	s.turn = func() { s.work(turnMessages) }
	return s
}

// mailbox makes one more actor's place.
func (s *strand) mailbox() *mailbox { return &mailbox{strand: s} }

// queue is letters, first in first out: the newest, which knows the oldest, in a
// ring.
type queue struct{ last *letter }

type letter struct {
	to      *mailbox
	message any
	next    *letter
}

func (q *queue) push(l *letter) {
	if q.last == nil {
		l.next = l
	} else {
		l.next, q.last.next = q.last.next, l
	}
	q.last = l
}

// pop takes the oldest; nil: there is none.
func (q *queue) pop() *letter {
	if q.last == nil {
		return nil
	}
	oldest := q.last.next
	if oldest == q.last {
		q.last = nil
	} else {
		q.last.next = oldest.next
	}
	oldest.next = nil
	return oldest
}

// pushFront puts all of another queue, which is empty then, before the oldest.
func (q *queue) pushFront(other *queue) {
	switch {
	case other.last == nil:
		return
	case q.last == nil:
		q.last = other.last
	default:
		q.last.next, other.last.next = other.last.next, q.last.next
	}
	other.last = nil
}

// RegisterHandlers implements actor.Mailbox. Messages are handled by a goroutine,
// as by the library's default dispatcher.
func (m *mailbox) RegisterHandlers(invoker actor.MessageInvoker, _ actor.Dispatcher) {
	m.invoker = invoker
}

// Start implements actor.Mailbox.
func (*mailbox) Start() {}

// UserMessageCount implements actor.Mailbox. The library asks for its metrics
// alone, which are off.
func (*mailbox) UserMessageCount() int { return 0 }

// PostUserMessage implements actor.Mailbox.
func (m *mailbox) PostUserMessage(message any) { m.strand.post(&m.strand.user, m, message) }

// PostSystemMessage implements actor.Mailbox.
func (m *mailbox) PostSystemMessage(message any) { m.strand.post(&m.strand.system, m, message) }

// postSoon is PostUserMessage for what came by a connection, on the goroutine
// that serves it: which handles it itself, soon, where the strand is light.
func (m *mailbox) postSoon(message any, on Connection) {
	s := m.strand
	if !s.light.Load() {
		m.PostUserMessage(message)
	} else if s.put(&s.user, m, message) {
		on.Soon(s.turn)
	}
}

func (s *strand) post(q *queue, to *mailbox, message any) {
	if s.put(q, to, message) {
		go s.run()
	}
}

// put reports whether nobody handles messages; whoever put this one has to see to
// it then.
func (s *strand) put(q *queue, to *mailbox, message any) bool {
	l := &letter{to: to, message: message}
	s.mu.Lock()
	defer s.mu.Unlock()
	q.push(l)
	idle := !s.running
	s.running = true
	return idle
}

// take returns the next letter to handle; nil: none is left.
func (s *strand) take() (l *letter, system bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for {
		if l = s.system.pop(); l != nil {
			switch l.message.(type) {
			case *actor.SuspendMailbox:
				l.to.suspended = true
			case *actor.ResumeMailbox:
				l.to.suspended = false
				s.user.pushFront(&l.to.held)
			default:
				return l, true
			}
			continue
		}
		if l = s.user.pop(); l == nil || !l.to.suspended {
			return l, false
		}
		l.to.held.push(l)
	}
}

// stop ends the goroutine, unless there is something to handle again.
func (s *strand) stop() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.running = s.system.last != nil || s.user.last != nil
	return !s.running
}

const (
	// turnMessages is how many messages are handled on the goroutine of a
	// connection, restEvery how many before rest.
	turnMessages = 64
	restEvery    = 50
	// atOnce is how many are before other goroutines have their turn.
	atOnce = 300
)

// run is a goroutine that works.
func (s *strand) run() {
	growStack()
	s.work(math.MaxInt)
}

// work handles messages until none is left. After so many it leaves the rest to
// another goroutine.
func (s *strand) work(most int) {
	for {
		n, more := s.handle(most)
		if most -= n; more && most > 0 {
			continue
		}
		if s.rest != nil {
			s.rest()
		}
		if s.stop() {
			return
		}
		if most <= 0 {
			go s.run()
			return
		}
	}
}

// handle handles what is there, but no more than that, and returns how many it
// has. After a panic, which is the parent's to judge, there may be more.
func (s *strand) handle(most int) (n int, more bool) {
	var l *letter
	defer func() {
		if p := recover(); p != nil {
			l.to.invoker.EscalateFailure(p, l.message)
			more = true
		}
	}()
	for n < most {
		var system bool
		if l, system = s.take(); l == nil {
			return n, false
		}
		n++
		if system {
			l.to.invoker.InvokeSystemMessage(l.message)
		} else {
			l.to.invoker.InvokeUserMessage(l.message)
		}
		if n%restEvery == 0 && s.rest != nil {
			s.rest()
		}
		if n%atOnce == 0 {
			runtime.Gosched()
		}
	}
	return n, true
}
