package actors

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/sirupsen/logrus"

	"rollcall/engine"
	"rollcall/internal/logs"
	"rollcall/presence"
)

// Limits bound what clients may do. 0: no limit.
type Limits struct {
	PublishRate, UpdateRate, SignalRate float64 // per second and session; a second's worth at once
	RequestRate                         float64 // likewise, for all else but what is refused
	ErrorRate                           float64 // refused requests per second; ten seconds' worth at once, then 4506
	Rooms                               int     // in all
	RoomMembers                         int     // of one room
	RoomObservers                       int     // likewise; 0: nobody may observe
	RoomQueue                           int     // joins of one room that wait for the snapshots of others
	RoomsPerSession                     int
	Away                                int // sessions that are held without a connection
}

// Options of a System.
type Options struct {
	Engine    engine.Engine
	Log       logs.Log
	Rules     Rules
	Limits    Limits
	PerUser   PerUser // sessions of one user; empty: AnyNumber
	Modes     presence.Modes
	Linger    time.Duration // how long a room outlives its last member
	Audit     time.Duration // between two audits of a room; 0: none
	Timeline  int           // records that a room keeps of users who are gone; 0: none, of nobody
	Heartbeat time.Duration // told in welcome
	MaxBytes  int           // likewise
	Server    string        // likewise

	// ObserveFanout: see Stats.
	ObserveFanout func(members, frames int, latency time.Duration)
}

// System is the tree of actors, and the door to it.
type System struct {
	o     Options
	log   logs.Log
	stats *Stats
	start time.Time

	actors    *actor.ActorSystem
	root      *actor.RootContext
	lobby     *actor.PID
	clients   clients
	banned    banlist // from the whole server
	reminders *reminders
	tokens    *tokens

	idleAfter string // Rules.IdleAfter in words, shared by all records
	apart     bool   // every fanout has a writer of its own: for tests that stop it

	stopping atomic.Bool
	stopped  chan struct{} // closed by the lobby's end
	shutdown sync.Once
}

// New starts the actors.
func New(o Options) *System {
	s := &System{
		o: o, log: o.Log, start: time.Now(), stats: &Stats{ObserveFanout: o.ObserveFanout},
		clients: clients{by: map[string]*Client{}}, tokens: newTokens(), stopped: make(chan struct{}),
		idleAfter: o.Rules.IdleAfter.String(),
	}
	s.actors = actor.NewActorSystem(
		actor.WithLoggerFactory(func(*actor.ActorSystem) *slog.Logger { return o.Log.Slog() }),
		actor.WithDeadLetterRequestLogging(false))
	shrinkRegistry(s.actors)
	s.root = s.actors.Root
	s.reminders = newReminders(o.Rules.shortest(), s.now, (*Client).nextLook, (*Client).due)
	lobby := newLobby(s)
	props := actor.PropsFromProducer(func() actor.Actor { return lobby },
		actor.WithMailbox(newMailbox),
		actor.WithSupervisor(&supervisor{sys: s, kind: "room", resumes: 3}),
		actor.WithGuardian(&supervisor{sys: s, kind: "lobby", resumes: 1 << 30}))
	pid, err := s.root.SpawnNamed(props, "lobby")
	if err != nil {
		panic(err) // the name is free in a new system
	}
	s.lobby = pid
	return s
}

// shortest is the shortest time that the rules speak of; a minute where they
// speak of none.
func (r Rules) shortest() time.Duration {
	least := time.Minute
	for _, d := range []time.Duration{r.IdleAfter, r.DisconnectAfter, r.MaxAge, r.ResumeWindow, r.ReloadGrace} {
		if d > 0 {
			least = min(least, d)
		}
	}
	return least
}

// now is the system's clock: the time since it started, which no change of
// the machine's clock moves.
func (s *System) now() time.Duration { return time.Since(s.start) }

// Stats count what the actors did.
func (s *System) Stats() *Stats { return s.stats }

// Clients are those connected now.
func (s *System) Clients() []*Client { return s.clients.all() }

func (s *System) toLobby(m any) { s.root.Send(s.lobby, m) }

// logJoins says whether joins and leaves are worth building a log line for.
func (s *System) logJoins() bool { return s.log.On(logrus.InfoLevel) }

// Drain says that what ends from now on ends because the server goes.
func (s *System) Drain() { s.stopping.Store(true) }

// Stop ends all actors, rooms before the lobby, sessions before their room.
func (s *System) Stop(ctx context.Context) error {
	s.Drain()
	s.root.Stop(s.lobby)
	var err error
	select {
	case <-s.stopped:
	case <-ctx.Done():
		err = ctx.Err()
	}
	s.shutdown.Do(func() {
		s.reminders.close()
		s.actors.Shutdown()
	})
	return err
}

// Inject runs f inside a room's actor, or inside the actor of a session in it;
// with neither, inside the lobby.
// Tests of supervision panic there; nothing else has a use for it.
func (s *System) Inject(room, session string, f func()) {
	s.inject(room, session, func(actor.Actor) { f() })
}

func (s *System) inject(room, session string, f func(actor.Actor)) {
	if session == "" {
		s.toLobby(&fault{room, f})
		return
	}
	c := s.clients.get(session)
	if c == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if v := c.visitOf(room); v != nil && v.box != nil {
		v.box.PostUserMessage(&fault{room, f})
	}
}
