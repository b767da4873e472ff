package bench

import (
	"context"
	"errors"
)

// Driver is a server under test: how it is run, and how its clients speak. A
// driver is one file, and one line in drivers.
type Driver interface {
	// Name is what the tables call it: one word, such as rollcall or centrifugo.
	Name() string

	// Start runs the server on a free port of 127.0.0.1, and returns when it
	// takes connections. An error that wraps ErrAbsent says that the server is
	// not on this machine: the tables tell why, and the run goes on.
	Start(ctx context.Context, o StartOptions) (*Target, error)

	Dialect
}

// ErrAbsent is why a server can't be measured here: a compiler is missing, or
// the path of a binary was not given.
var ErrAbsent = errors.New("absent")

// StartOptions are what a scenario asks of a server.
type StartOptions struct {
	Dir         string   // a directory for its files, which is removed in the end
	Connections int      // so many clients will be there at once
	Quiet       bool     // nobody needs to hear of joins: rooms are only filled to be talked in
	Settings    []string // flags of `rollcall serve` that the scenario needs; other servers have no use for them
	Centrifugo  string   // its program, as the user named it; empty: none
	Version     string   // of this program
}

// Target is a server that runs.
type Target struct {
	Address string // host:port
	PIDs    []int  // its processes: what they use is what is measured
	Version string // of the program
	Config  string // the configuration, as the report prints it: a command line, or a few lines
	Stop    func() // ends it, and waits until it is gone
}

// Client is one simulated client, as its dialect sees it.
type Client struct {
	Index int    // unique among the clients of a run; from 0
	User  string // a user id of its own
	Room  string // the room that it is for
	Visit int    // how many connections it has had before
	Last  uint64 // the number of the last message that it got of its room; 0: none

	// The dialect's own, which Read may set.
	Stage int    // how far the opening is; 0 with each connection
	Token string // what it may resume with; empty: nothing
	Epoch string // which count Last belongs to
	View  any    // what else it must remember of its room
}

// Dialect is what clients say and how they understand what they are told. It
// is pure: it is given bytes and gives bytes, without framing. Its methods are
// called for every message, so Read and Publish must not allocate.
type Dialect interface {
	// Handshake is the target of the upgrade request (path and query), and
	// further lines of its header, each ended by CRLF.
	Handshake(c *Client) (target, header string)

	// Opening are the text messages to send right after the upgrade, without
	// waiting for anything.
	Opening(c *Client) []string

	// Read says what one text message of the server is. The message is only
	// valid during the call.
	Read(c *Client, message []byte) Event

	// Publish appends the message that says body to everybody in the client's
	// room, itself included. Body is printable ASCII without quotes, backslashes
	// and blanks, and must arrive as it is: the load finds it in whatever
	// message it arrives in.
	Publish(dst []byte, c *Client, body []byte) []byte

	// Leave appends the message that leaves the room, which Read answers with
	// Left; nothing, where leaving is closing the connection.
	Leave(dst []byte, c *Client) []byte
}

// Mover is a dialect whose clients come and go, and change their data, on one
// connection: what the presence scenario needs.
type Mover interface {
	Dialect

	// Join appends the message that joins the client's room (again) with data,
	// a JSON value; Read answers with Joined.
	Join(dst []byte, c *Client, data []byte) []byte

	// Update appends the message that changes the client's data to a JSON
	// value.
	Update(dst []byte, c *Client, data []byte) []byte
}

// Resumer is a dialect whose clients come back as the same session: Read
// sets a Token, Handshake asks for it where the client has one, and Opening
// joins the room again from where the client was.
type Resumer interface {
	Dialect
	resumes()
}

// Kind is what a message of the server means to the load.
type Kind uint8

// The kinds of messages.
const (
	Other    Kind = iota // nothing that is counted
	Joined               // the client is in its room, from here on it gets what is said there
	Left                 // the client is out of its room
	Presence             // somebody came, went or changed
	Message              // something was said in the room; the load finds the body by itself
	Refused              // the server said no, or broke the client's rules
)

// Event is what a message of the server says.
type Event struct {
	Kind Kind

	// Reply are the text messages that the client must answer at once with, in
	// order; nil: none.
	Reply []string

	// Count is how many members the room has by this message; Change is how
	// many more it has than before, where the message does not tell the number
	// (Counted false).
	Counted bool
	Count   int
	Change  int

	// First and Last are the numbers that this message covers in the room's
	// order: the next message has First = Last+1. Both 0: it has none. For
	// Joined, Last is where the client's stream begins.
	First, Last uint64
}
