package bench

import "time"

// Order is what the master tells a load process to do, and Tally what comes
// back: JSON over its standard input and output. An order ends when all that it
// waits for has come, or after its Timeout.
type Order struct {
	Do      Do
	Timeout time.Duration // 0: orderTimeout

	Crowd Crowd // of Assemble

	// Window is how much is under way at a time: connections that are opened
	// (Open, Churn, Resume; 0: openWindow), or messages that a sender has not
	// got back (Say; 0: no bound).
	Window int

	Whole   bool          // Open: wait until every client knows of all members of its room
	Senders int           // Say: clients in each room that talk
	Each    int           // Say: messages of each sender. Churn: visits of each client
	Rate    float64       // Say, Move: messages per second, of all senders of the process together; 0: as fast as the window lets
	Bytes   int           // Say: length of the JSON string that is said, quotes included
	For     time.Duration // Watch: how long. Move: likewise
	Abrupt  bool          // Close: a reset, as when a process dies, and not a close frame
	Seed    uint64        // Move: of the random walk
}

// Do is the kind of an Order.
type Do string

// The orders.
const (
	Assemble Do = "assemble" // who the clients are; those of before are gone
	Open     Do = "open"     // connect all, and wait until all are in their rooms
	Say      Do = "say"      // talk, and wait until all have heard all
	Watch    Do = "watch"    // listen for a time
	Close    Do = "close"    // end all connections, and wait for the server to agree
	Churn    Do = "churn"    // connect, join, leave and close, over and over
	Resume   Do = "resume"   // lose all connections at once, and come back as the same sessions
	Move     Do = "move"     // join, update and leave at random
	Simulate Do = "simulate" // fill rooms of our own server without sockets
)

// Crowd says who the clients of a process are. Client i of the run is in room
// number i/PerRoom.
type Crowd struct {
	Driver  string // whose dialect they speak
	Address string
	Process int // which of the processes it is: each has its own source addresses
	First   int // the index of the first client of this process
	Count   int // of this process
	Total   int // of all processes
	PerRoom int
	Name    string // what the names of rooms and users begin with: letters and digits
}

// Tally is what came of an order, at one process or, added up, at all.
type Tally struct {
	Error string // why it failed; empty: it did not

	Connections int // opened, and in their rooms
	Sent        int // messages that were said, or moves that were made
	Delivered   int // messages that clients got
	Expected    int // messages that they should have got
	Lost        int // of these, those that never came
	Duplicated  int // came twice
	Disordered  int // came after a later one of the same sender, or not where the room's order has them
	Refused     int // the server said no
	Broken      int // connections that ended unasked

	Frames         int   // all that the server sent
	Bytes          int64 // likewise, without TCP and IP
	PresenceFrames int   // of these, frames that tell of presence, snapshots included
	PresenceBytes  int64

	Latency Histogram     // from when a message was due to be sent until each client had it, in nanoseconds
	Took    time.Duration // by the clock; of several processes the longest
	CPU     time.Duration // of the load itself

	// Of Simulate: bytes that the sessions hold, and the processor time of a
	// collection of garbage.
	Memory int64
	GC     time.Duration
}

// add adds what another process has seen at the same time.
func (t *Tally) add(o *Tally) {
	if t.Error == "" {
		t.Error = o.Error
	}
	t.Connections += o.Connections
	t.Sent += o.Sent
	t.Delivered += o.Delivered
	t.Expected += o.Expected
	t.Lost += o.Lost
	t.Duplicated += o.Duplicated
	t.Disordered += o.Disordered
	t.Refused += o.Refused
	t.Broken += o.Broken
	t.Frames += o.Frames
	t.Bytes += o.Bytes
	t.PresenceFrames += o.PresenceFrames
	t.PresenceBytes += o.PresenceBytes
	t.Latency.Merge(&o.Latency)
	t.Took = max(t.Took, o.Took)
	t.CPU += o.CPU
	t.Memory += o.Memory
	t.GC += o.GC
}

// wrong is how many things happened that should not.
func (t *Tally) wrong() int {
	return t.Lost + t.Duplicated + t.Disordered + t.Refused + t.Broken
}
