package crowd

import (
	"time"

	"rollcall/protocol"
)

// Order is what a crowd is told to do, as one line of JSON on its standard
// input. It answers each with a Report.
type Order struct {
	Do string // see the constants

	// Connect: so many more clients, u<first> to u<first+N-1> by name, each in
	// Each of the rooms r0 to r<Rooms-1>, in turn.
	Address    string
	N          int
	First      int
	Rooms      int
	Each       int           // 0: 1
	AtOnce     int           // handshakes at once; 0: 64
	ReadBuffer int           // of the socket, in bytes; 0: the kernel's
	Clock      time.Duration // what the clients' clocks are wrong by, wherever they may tell the time
	Digests    bool          // hash all events, for Stay.Digest

	// Again, Drop and Back: what happens to connections.
	Resume bool   // Back: as the same sessions
	How    string // Drop: "close" (a close frame), "abort" (end of stream), "reset" (RST) or "abandon" (it stays open)

	// Send: Times of something from every client, Every apart.
	What  string // see Send's constants
	Times int
	Every time.Duration
	Size  int    // of the text of a message, in bytes more than it needs
	Seed  uint64 // of what is random

	// Hear: read at most Most bytes, Every apart; both 0: as fast as it can.
	Most int

	// Await: until so many are, or the Timeout. Send: so many do, 0: all.
	Count   int
	Offset  uint64        // Await told
	Timeout time.Duration // of Connect, Back and Await; 0: a minute
}

// What an Order may be.
const (
	Connect = "connect" // and wait for the answers of all rooms
	Drop    = "drop"    // end every connection
	Back    = "back"    // connect again who has none, and wait likewise
	Rejoin  = "rejoin"  // join again the rooms that a client left against its will
	Send    = "send"    // every client sends something
	Deafen  = "deafen"  // stop reading
	Hear    = "hear"    // read again, or slowly
	Await   = "await"   // wait for what What names
	Dribble = "dribble" // N handshakes, a byte every Every, until the server has enough
	Tell    = "tell"    // report every client
)

// What Send sends, and Await awaits.
const (
	Publish   = "publish"   // a message to every room of the client
	Bad       = "bad"       // a request that is none
	Ping      = "ping"      // a control frame
	Malformed = "malformed" // a frame that breaks rules, at random

	Ended    = "ended"    // Count clients have no connection
	In       = "in"       // Count clients are in all their rooms
	Messages = "messages" // Count messages came, to all clients together
	Told     = "told"     // Count clients were told of Offset in every room
)

// Report is what came of an order, and what the crowd has seen up to then.
type Report struct {
	Error     string // empty: all went well
	Took      time.Duration
	Connected int
	Frames    int64
	Bytes     int64
	Messages  int64
	Refused   int      // Connect, Back, Dribble: handshakes that failed
	Clients   []Client // Tell
}

// Client is one of a crowd.
type Client struct {
	Session   string
	User      string
	Connected bool
	Resumed   int
	Bye       protocol.CloseCode         // of the newest connection; 0: none came
	Close     protocol.CloseCode         // likewise
	Errors    map[protocol.ErrorCode]int // answers that were one
	Wrong     string                     // the first thing wrong with its streams; empty: nothing
	Stays     []Stay
}

// Stay is a client's stream of one room, from its newest snapshot on.
type Stay struct {
	Room   string
	Epoch  string
	From   uint64          // offset of the snapshot
	To     uint64          // offset that it was told last
	Left   protocol.Reason // of its own leave; empty: none came
	Digest uint64          // sum of the FNV-1a hashes of its events, signals left out
	Whole  bool            // the digest has all events: never in mode count
}

func (o *Order) timeout() time.Duration {
	if o.Timeout > 0 {
		return o.Timeout
	}
	return time.Minute
}
