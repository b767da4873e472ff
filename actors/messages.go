package actors

import (
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"rollcall/engine"
	"rollcall/protocol"
)

// What actors say to each other. Messages are pointers, not changed once sent,
// and name their sender in a field where it matters.
//
//	from            message     to               answer, and what repetition does
//	Client          *enter      lobby → room     the client is attached or refused; once per visit
//	Client          *outside    lobby → room     the client's own answer; each is one message
//	lobby           *knock      room             none; the room takes one message out of its inbox
//	Client          *command    session → room   the client's own answer; each is one request
//	Client          *end        session          the session leaves its room; the first one counts
//	Client          *checkState session          none; a late or second one does no harm
//	Client          *parted     session          the room sends nothing to that connection any more
//	session         *part       room             none; once per connection
//	session         *leave      room             the leave event; the first one counts
//	session         *restate    room             an update event, if the state is new
//	System (HTTP)   *describe … lobby → room     one value on its reply channel
//	fanout          *drained    room             those who waited to join are let in
//	room's timers   *lingered   room             none; looks at the room's state
//	room's timers   *flush      room             what is due of presence is told; harmless when nothing is
//	room's timers   *audit      room             none; ghosts are repaired
//	room's timers   *again      room             the proposal is made once more
//	room            *vacant     lobby            the room is stopped, or not if somebody is on the way
//	engine          *settled    room             applied in order, once
//	engine          *reset      room             the room starts from a snapshot
//	tests           *fault      any actor        runs inside the actor

// routed is a message that the lobby passes on to the room of that name,
// which it makes if it must. It waits in the room's inbox: what a room did not
// take up when it ends, the lobby routes again.
type routed interface{ roomName() string }

// enter brings a client into a room. Client to lobby to room. The room
// attaches the visit and answers Joined, or refuses it with an Error.
type enter struct {
	visit  *visit
	join   *protocol.Join
	stream Stream // that it begins; nil: its client takes no streams
	cost   int64
	conn   Connection // that asked
	box    *mailbox   // the room's: of the session actor; nil: there is none yet
	then   *enter     // likewise: the one behind it
}

func (m *enter) roomName() string { return m.visit.room }

// command is one request of a member. Client to session; the session passes it
// on to its room after its own checks. Whoever finishes it settles its cost.
type command struct {
	protocol.Command
	stream Stream // that a Join begins, or a Leave ends; nil: it is about all of the visit
	open   bool   // a Publish that needs no member
	visit  *visit
	cost   int64
	conn   Connection // that asked: the answer goes there
}

// end tells a session that its connection or its visit is over.
type end struct {
	reason protocol.Reason
	code   protocol.CloseCode // seen or sent; 0: none
	after  time.Duration      // that the client is asked to stay away for
	cause
}

// checkState reminds a session to look at how its client stands.
type checkState struct{}

// parted tells a session that a connection is not its client's any more.
type parted struct {
	conn Connection
	end        // why the client is away; none: another connection took its place
	at   int64 // when, in Unix milliseconds
}

// part tells the room the same: it sends the member nothing there.
type part struct {
	visit *visit
	*parted
}

// leave asks the room to take a session out. The first one counts.
type leave struct {
	visit  *visit
	reason protocol.Reason
	code   protocol.CloseCode
	cause
	ask   *command // the request that asked for it; nil: none did
	ghost bool     // the audit asks: what is wrong was told
}

// restate asks the room to tell a new state of a session.
type restate struct {
	visit *visit
	state protocol.State
}

// lingered reminds a room to see whether it has been empty for long enough.
type lingered struct{}

// flush reminds a room to tell what is due, docs/protocol.md §7.
type flush struct{}

// audit reminds a room to look for ghosts.
type audit struct{}

// drained tells a room that joins may go on: fewer snapshots wait to be sent.
type drained struct{}

// vacant tells the lobby that a room has been empty for long enough, and how
// many messages it had taken out of its inbox by then. The lobby stops it unless
// there is, or was, another.
type vacant struct {
	room  *actor.PID
	name  string
	taken uint64
}

// knock tells a room that there is a message for it in its inbox.
type knock struct{}

// again brings a proposal back that the engine could not take.
type again struct{ proposal *engine.Proposal }

// settled brings the room an outcome that its engine could not tell at once.
type settled struct{ engine.Outcome }

// reset tells the room to start from a snapshot.
type reset struct{ engine.Snapshot }

// fault runs inside an actor: tests of supervision panic there.
type fault struct {
	room string
	do   func(self actor.Actor)
}

func (m *fault) roomName() string { return m.room }

// Reminders may find nobody home; that is no news for the log.

// IgnoreDeadLetterLogging keeps it out of the log.
func (*checkState) IgnoreDeadLetterLogging() {}

// IgnoreDeadLetterLogging keeps it out of the log.
func (*parted) IgnoreDeadLetterLogging() {}

// IgnoreDeadLetterLogging keeps it out of the log.
func (*end) IgnoreDeadLetterLogging() {}

// IgnoreDeadLetterLogging keeps it out of the log.
func (*lingered) IgnoreDeadLetterLogging() {}

// IgnoreDeadLetterLogging keeps it out of the log.
func (*flush) IgnoreDeadLetterLogging() {}

// IgnoreDeadLetterLogging keeps it out of the log.
func (*knock) IgnoreDeadLetterLogging() {}

// IgnoreDeadLetterLogging keeps it out of the log.
func (*again) IgnoreDeadLetterLogging() {}

// IgnoreDeadLetterLogging keeps it out of the log.
func (*drained) IgnoreDeadLetterLogging() {}

// IgnoreDeadLetterLogging keeps it out of the log.
func (*audit) IgnoreDeadLetterLogging() {}

// IgnoreDeadLetterLogging keeps it out of the log.
func (*command) IgnoreDeadLetterLogging() {}

// IgnoreDeadLetterLogging keeps it out of the log.
func (*part) IgnoreDeadLetterLogging() {}

// IgnoreDeadLetterLogging keeps it out of the log.
func (*leave) IgnoreDeadLetterLogging() {}
