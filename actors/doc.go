// Package actors is the behaviour of the server: a lobby supervises rooms, a
// room supervises sessions.
//
//	lobby ─┬─ room ─┬─ session   (one member: a connection's visit to this room)
//	       │        └─ session
//	       └─ room ─── session   (the same connection in a second room)
//
// A Client is a connection's door to them: it takes the commands of one
// connection, keeps its limits, and knows the session actor of each room it is
// in. What a client sends goes Client → session → room; what a room tells goes
// from the room straight to its members' connections, see fanout.
//
// A session that panics is stopped, its room announces failed, and its client
// may join again. A room that panics is resumed with its state, at most three
// times a minute, then stopped. messages.go is the table of everything that
// actors say to each other.
package actors
