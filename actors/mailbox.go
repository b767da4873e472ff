package actors

import (
	"runtime"
	"sync"

	"github.com/asynkron/protoactor-go/actor"
)

// mailbox is an actor's. The library's costs 175 bytes in six objects
// while nothing is in it, which is nearly always, and there are as many as
// members; this one 48, in one.
//
// Any goroutine may post. One that lives while there is something to handle
// handles it: system messages first, and no others while the actor is
// suspended, which it is from a panic until its parent has decided.
type mailbox struct {
	invoker actor.MessageInvoker // set before the first message

	mu        sync.Mutex
	system    queue
	user      queue
	running   bool // somebody handles messages
	suspended bool
}

// newMailbox implements actor.MailboxProducer.
func newMailbox() actor.Mailbox { return &mailbox{} }

// queue is messages, first in first out: the newest, which knows the oldest,
// in a ring.
type queue struct{ last *letter }

type letter struct {
	message any
	next    *letter
}

func (q *queue) push(message any) {
	e := &letter{message: message}
	if q.last == nil {
		e.next = e
	} else {
		e.next, q.last.next = q.last.next, e
	}
	q.last = e
}

// pop takes the oldest; nil: there is none.
func (q *queue) pop() any {
	if q.last == nil {
		return nil
	}
	oldest := q.last.next
	if oldest == q.last {
		q.last = nil
	} else {
		q.last.next = oldest.next
	}
	return oldest.message
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
func (m *mailbox) PostUserMessage(message any) { m.post(&m.user, message) }

// PostSystemMessage implements actor.Mailbox.
func (m *mailbox) PostSystemMessage(message any) { m.post(&m.system, message) }

func (m *mailbox) post(to *queue, message any) {
	m.mu.Lock()
	to.push(message)
	idle := !m.running
	m.running = true
	m.mu.Unlock()
	if idle {
		go m.run()
	}
}

// take returns the next message to handle; nil: none is left, and whoever asked
// handles no more.
func (m *mailbox) take() (message any, system bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for {
		message = m.system.pop()
		switch message.(type) {
		case *actor.SuspendMailbox:
			m.suspended = true
			continue
		case *actor.ResumeMailbox:
			m.suspended = false
			continue
		case nil:
		default:
			return message, true
		}
		if !m.suspended {
			message = m.user.pop()
		}
		m.running = message != nil
		return message, false
	}
}

func (m *mailbox) run() {
	growStack()
	for m.handle() {
	}
}

// atOnce is how many messages are handled before others have their turn.
const atOnce = 300

// handle handles what is there. It reports true after a panic, which is the
// parent's to judge: there may be more.
func (m *mailbox) handle() (more bool) {
	var message any
	defer func() {
		if p := recover(); p != nil {
			m.invoker.EscalateFailure(p, message)
			more = true
		}
	}()
	for n := 1; ; n++ {
		var system bool
		switch message, system = m.take(); {
		case message == nil:
			return false
		case system:
			m.invoker.InvokeSystemMessage(message)
		default:
			m.invoker.InvokeUserMessage(message)
		}
		if n%atOnce == 0 {
			runtime.Gosched()
		}
	}
}
