// Package logs is how the server writes its log: a closed vocabulary of
// events over logrus, redaction, sampling, and protoactor's slog led in.
// docs/operations.md shows a real line of each event.
package logs

import (
	"github.com/sirupsen/logrus"
)

// Event is the field event of a line: what happened, from a closed set, so
// that operators can search and alert on it.
type Event string

// The events.
const (
	Starting      Event = "starting"       // the process begins
	ConfigWarning Event = "config_warning" // the configuration works but deserves a look
	Exposure      Event = "exposure"       // what is open, and to whom
	Listening     Event = "listening"      // the port is bound
	Stopping      Event = "stopping"       // one step of the shut-down
	Stopped       Event = "stopped"        // all is down

	Connected    Event = "connected"     // a connection was opened
	Refused      Event = "refused"       // a handshake was refused
	Overload     Event = "overload"      // newcomers are turned away: too much comes at once
	Disconnected Event = "disconnected"  // a connection ended
	Cut          Event = "cut"           // the server ended a connection against its will
	RoomOpened   Event = "room_opened"   // a room actor was made
	RoomClosed   Event = "room_closed"   // a room actor ended
	Joined       Event = "joined"        // a member came
	Left         Event = "left"          // a member went
	Away         Event = "away"          // a session is held without its connection
	Resumed      Event = "resumed"       // a session took another connection
	ObserverCame Event = "observer_came" // somebody watches a room
	ObserverLeft Event = "observer_left" // and watches no more
	State        Event = "state"         // a member fell idle, was lost, or came back
	RoomRefused  Event = "room_refused"  // a join was refused
	Mode         Event = "mode"          // a room tells of presence in another way

	ActorFailed Event = "actor_failed" // an actor panicked: the supervisor's decision
	Ghost       Event = "ghost"        // the audit found state that nothing stands behind
	DeadLetter  Event = "dead_letter"  // a message to an actor that is gone
	ActorSystem Event = "actor_system" // protoactor says something
	Unexpected  Event = "unexpected"   // a message or state that should not be: a bug

	APIRefused  Event = "api_refused"  // a call that changes things came without the right to
	Kicked      Event = "kicked"       // a member was taken out by the API
	Banned      Event = "banned"       // a user or a session is kept out from now on
	Unbanned    Event = "unbanned"     // a ban was lifted
	Ended       Event = "ended"        // a session was ended by the API
	HTTPFailure Event = "http_failure" // the HTTP server met an error
)

// text is the constant message of each event.
var text = map[Event]string{
	Starting:      "starting",
	ConfigWarning: "the configuration deserves a look",
	Exposure:      "what is open, and to whom",
	Listening:     "listening",
	Stopping:      "stopping",
	Stopped:       "stopped",
	Connected:     "connection opened",
	Refused:       "handshake refused",
	Overload:      "newcomers turned away",
	Disconnected:  "connection ended",
	Cut:           "connection cut",
	RoomOpened:    "room opened",
	RoomClosed:    "room closed",
	Joined:        "member joined",
	Left:          "member left",
	Away:          "session held without its connection",
	Resumed:       "session resumed",
	ObserverCame:  "observer came",
	ObserverLeft:  "observer left",
	State:         "member state",
	RoomRefused:   "join refused",
	Mode:          "room mode",
	ActorFailed:   "actor failed",
	Ghost:         "ghost found",
	DeadLetter:    "dead letter",
	ActorSystem:   "actor system",
	Unexpected:    "unexpected",
	APIRefused:    "call refused",
	Kicked:        "member kicked",
	Banned:        "banned",
	Unbanned:      "ban lifted",
	Ended:         "session ended by the API",
	HTTPFailure:   "HTTP server",
}

// Fields go with an event. Their names are those of docs/operations.md:
// snake_case, one word per thing.
type Fields = logrus.Fields

// Log writes events. Its zero value is not ready: use New, or Discard.
type Log struct{ lg *logrus.Logger }

// On reports whether a level is written: guard what costs to build.
func (l Log) On(level logrus.Level) bool { return l.lg.IsLevelEnabled(level) }

// Debug writes an event of every small step. Repeated ones are sampled.
func (l Log) Debug(e Event, f Fields) { l.write(logrus.DebugLevel, e, f) }

// Info writes an event of normal life. Repeated ones are sampled.
func (l Log) Info(e Event, f Fields) { l.write(logrus.InfoLevel, e, f) }

// Warn writes an event that an operator should know of. Never sampled.
func (l Log) Warn(e Event, f Fields) { l.write(logrus.WarnLevel, e, f) }

// Error writes a bug in us or a broken machine: nothing that a client can send
// reaches it. Never sampled.
func (l Log) Error(e Event, f Fields) { l.write(logrus.ErrorLevel, e, f) }

func (l Log) write(level logrus.Level, e Event, f Fields) {
	if !l.lg.IsLevelEnabled(level) {
		return
	}
	entry := l.lg.WithFields(f)
	entry.Data["event"] = string(e)
	entry.Log(level, text[e])
}
