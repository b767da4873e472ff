package timeline

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"rollcall/protocol"
)

// Event is one thing that happened, as a person would tell it and for programs
// to read.
type Event struct {
	At      int64              `json:"at"` // Unix milliseconds
	Kind    string             `json:"kind"`
	Session string             `json:"session,omitempty"` // empty: it is the room's
	Reason  protocol.Reason    `json:"reason,omitempty"`  // of kind left
	Code    protocol.CloseCode `json:"code,omitempty"`    // of kinds left and held: the close code, seen or sent
	By      string             `json:"by,omitempty"`      // of kind left: client, network, rule, api or server
	Text    string             `json:"text"`
}

// Tell makes the events of records, oldest first. Every text goes on from
// "the session …" or "the room …", and names no instants: who reads it knows
// in which time zone.
func Tell(records []Record) []Event {
	es := make([]Event, 0, len(records))
	for i := range records {
		r := &records[i]
		switch {
		case r.Kind == Joined && r.Since != 0:
			es = append(es, event(&Record{At: r.Since, Kind: Connected, Session: r.Session, Detail: r.Detail}))
		case r.Kind == Active && r.Since != 0:
			es = append(es, event(&Record{At: r.Since, Kind: Idle, Session: r.Session, Detail: r.Detail}))
		}
		es = append(es, event(r))
	}
	slices.SortStableFunc(es, func(a, b Event) int { return int(min(max(a.At-b.At, -1), 1)) })
	return es
}

func event(r *Record) Event {
	e := Event{At: r.At, Kind: r.Kind.String(), Session: r.Session, Reason: r.Reason.Long(), Code: r.Code, Text: text(r)}
	if r.Kind == Left {
		e.By = r.by().String()
	}
	return e
}

func (r *Record) by() By {
	if r.By != Unknown {
		return r.By
	}
	return usual(r.Reason.Long())
}

// text says a record in words.
func text(r *Record) string {
	switch r.Kind {
	case Connected:
		return "connected" + from(r.Detail)
	case Joined:
		return "joined the room"
	case Idle:
		return "fell idle: no activity for " + r.Detail
	case Active:
		if r.Since != 0 {
			return "was active again, after " + r.since() + " of idleness"
		}
		return "was active again"
	case Unresponsive:
		return "fell silent: its page promised a ping every " + r.Detail + ", and missed three"
	case Lost:
		return "lost its connection" + because(r.Detail) + "; it may come back"
	case Held:
		return "closed its connection" + coded(r.Code) + "; it may come back"
	case Resumed:
		if r.Since == 0 {
			return "moved to another connection" + from(r.Detail)
		}
		return "came back after " + r.since() + from(r.Detail)
	case Ghost:
		return "was found to be " + r.Detail + ", and set right"
	case SessionFailed, RoomFailed:
		return "failed: its actor panicked" + because(r.Detail)
	case Left:
		return "left: " + r.left()
	case RoomOpened:
		return "was opened, in epoch " + r.Detail
	case RoomStopped:
		return "failed too often and was stopped: everybody in it left"
	case RoomReset:
		return "started over from a snapshot of its engine"
	}
	return "did something that this version has no words for"
}

// left says why a visit ended.
func (r *Record) left() string {
	why := ended(r.Reason.Long())
	if r.by() == API {
		why = called(r.Reason.Long(), r.Code) + " by a call of the API"
	}
	why += coded(r.Code) + because(r.Detail)
	if r.Since != 0 && r.Since < r.At {
		why += "; last active " + r.since() + " before"
	}
	return why
}

// called says what a call of the API did.
func called(reason protocol.Reason, code protocol.CloseCode) string {
	switch {
	case reason == protocol.ReasonBanned:
		return "it was banned"
	case code == 0:
		return "it was taken out of the room"
	}
	return "the session was ended"
}

// ended says what ends a visit for a reason.
func ended(reason protocol.Reason) string {
	switch reason {
	case protocol.ReasonLeft:
		return "its client asked to leave"
	case protocol.ReasonKicked:
		return "it was kicked"
	case protocol.ReasonBanned:
		return "it was banned"
	case protocol.ReasonFailed:
		return "the server failed"
	case protocol.ReasonClosed:
		return "its client closed the connection"
	case protocol.ReasonLost:
		return "its connection was lost, and it did not come back"
	case protocol.ReasonIdle:
		return "there was no activity for too long"
	case protocol.ReasonExpired:
		return "it reached its maximum age"
	case protocol.ReasonUnauthorized:
		return "its token was no longer good"
	case protocol.ReasonReplaced:
		return "a newer session of the user took its place"
	case protocol.ReasonViolation:
		return "its client broke the protocol, or flooded past the limits"
	case protocol.ReasonSlow:
		return "its client read too slowly"
	case protocol.ReasonShutdown:
		return "the server went away"
	case protocol.ReasonNodeLost:
		return "the machine that held it died"
	}
	return "for a reason that this version has no words for"
}

// since is how long a record's span was.
func (r *Record) since() string { return Duration(r.At - r.Since) }

// Duration writes milliseconds as a person would: no finer than it matters.
func Duration(ms int64) string {
	d := time.Duration(max(ms, 0)) * time.Millisecond
	switch {
	case d >= time.Hour:
		d = d.Round(time.Minute)
		return strings.TrimSuffix(d.String(), "0s")
	case d >= time.Minute:
		d = d.Round(time.Second)
	}
	return d.String()
}

func from(address string) string {
	if address == "" {
		return ""
	}
	return " from " + address
}

func because(detail string) string {
	if detail == "" {
		return ""
	}
	return ": " + detail
}

// coded names a close code.
func coded(c protocol.CloseCode) string {
	switch c {
	case 0:
		return ""
	case protocol.CloseNormal:
		return ", code 1000 (done)"
	case 1001:
		return ", code 1001 (the page went away)"
	case protocol.CloseNoStatus:
		return ", without a code"
	}
	return fmt.Sprintf(", code %d", c)
}
