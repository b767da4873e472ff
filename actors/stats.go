package actors

import (
	"sync/atomic"
	"time"

	"rollcall/protocol"
)

// Stats count what the actors did. All of it may be read at any time.
type Stats struct {
	Rooms, Members, Observers       atomic.Int64 // now
	Away                            atomic.Int64 // sessions without a connection, now
	Joins, Messages, SignalsDropped atomic.Uint64
	Deliveries                      atomic.Uint64 // frames handed to connections by rooms
	Ghosts                          atomic.Uint64
	JoinsShed                       atomic.Uint64 // turned away at Limits.RoomQueue
	Collected                       atomic.Uint64 // changes that rooms told in presence frames

	RoomsByMode             [3]atomic.Int64  // now; by index in RoomModes
	PresenceFrames          [3]atomic.Uint64 // told by rooms, each counted once; by index in PresenceTypes
	Resumes, ResumesRefused atomic.Uint64
	HoldsRefused            atomic.Uint64 // sessions that left at once: too many were away
	Bans                    atomic.Uint64 // that were made
	Barred                  atomic.Uint64 // handshakes refused for one

	Leaves   [nReasons]atomic.Uint64  // by index in protocol.Reasons
	Commands [nCommands]atomic.Uint64 // by index in CommandTypes
	Refusals [nErrors]atomic.Uint64   // by index in protocol.ErrorCodes
	Failures [3]atomic.Uint64         // by index in ActorKinds

	// ObserveFanout is told of each pass over a room's members: how many they
	// were, how many frames they got, and the time since the first of those
	// came. Nil: nobody wants to know.
	ObserveFanout func(members, frames int, latency time.Duration)
}

const (
	nReasons  = 14
	nErrors   = 11
	nCommands = 8
)

// CommandTypes are the types of commands, as on the wire.
var CommandTypes = [nCommands]string{"join", "leave", "publish", "update", "signal", "members", "history", "ping"}

// RoomModes are the modes of rooms, as on the wire.
var RoomModes = [3]string{"full", "batch", "count"}

// PresenceTypes are the types of events that only big or stormy rooms tell.
var PresenceTypes = [3]string{"presence", "occupancy", "mode"}

// ActorKinds are the kinds of actors.
var ActorKinds = [3]string{"lobby", "room", "session"}

func (s *Stats) command(c protocol.Command) {
	i := 7
	switch c.(type) {
	case *protocol.Join:
		i = 0
	case *protocol.Leave:
		i = 1
	case *protocol.Publish:
		i = 2
	case *protocol.Update:
		i = 3
	case *protocol.Signal:
		i = 4
	case *protocol.Members:
		i = 5
	case *protocol.History:
		i = 6
	}
	s.Commands[i].Add(1)
}

// Left counts a leave.
func (s *Stats) Left(r protocol.Reason) {
	for i, known := range protocol.Reasons {
		if known == r {
			s.Leaves[i].Add(1)
		}
	}
}

// Refused counts a refused request.
func (s *Stats) Refused(c protocol.ErrorCode) {
	for i, known := range protocol.ErrorCodes {
		if known == c {
			s.Refusals[i].Add(1)
		}
	}
}

// Failed counts a failure of an actor.
func (s *Stats) Failed(kind string) {
	for i, known := range ActorKinds {
		if known == kind {
			s.Failures[i].Add(1)
		}
	}
}

func (s *Stats) fanout(members, frames int, latency time.Duration) {
	s.Deliveries.Add(uint64(members) * uint64(frames))
	if s.ObserveFanout != nil {
		s.ObserveFanout(members, frames, latency)
	}
}
