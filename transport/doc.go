// Package transport serves WebSockets (RFC 6455): the handshake, frames,
// heartbeats, bounds, and an orderly end, over plain TCP and TLS. It knows
// nothing of what the messages mean.
//
// # Using it
//
// Listen opens a socket with the options that long-lived connections need,
// HTTPServer makes a server within the bounds that a handshake needs, and Serve
// puts them together. A handler for the endpoint's path asks Server.Check
// whether the request may become a WebSocket, answers the Refusal if not, and
// calls Server.Accept with a Handler if so. From Handler.Open on, the Handler
// owns a Conn.
//
//	listener ─┬─ net/http ───┬─ Check ─ Accept ─┬─ event loop ── Handler
//	          └─ expressWay ─┘                  └─ goroutine ─── Handler
//
// Serve reads the first request of a connection itself. A plain handshake
// (parseHandshake) goes to the handler at once; everything else, and whatever
// is odd, to net/http, with the bytes that were read. So the rules of a
// handshake stand in one place, Check, whichever way it took.
//
// # Who runs what
//
// On Linux the connections are shared out among event loops, one per core: one
// goroutine each, with an edge-triggered epoll set and one read buffer for all
// its connections. Accept duplicates the descriptor and closes the net.Conn, so
// that an idle connection is a struct of some two hundred bytes and an entry in
// a table: no goroutine, no buffer, no timer. Elsewhere, or with
// ModeGoroutine, every connection has a goroutine that reads. What is the same
// for both is written once: assembler (bytes to messages), conn (what they
// mean, what is queued, how it ends), clock and onZero (heartbeats).
//
// Whichever it is, one goroutine serves a connection and makes all calls of its
// Handler, one after the other. Handlers must not block it: in an event loop
// thousands of other connections would wait.
//
// Conn's methods may be called from any goroutine. Write sends at once, under
// the connection's lock, straight into the kernel; what the kernel does not
// take waits in a backlog until the loop hears that there is room. So a room
// can write one encoded batch to all its members itself, without a queue or a
// goroutine for any of them. While a loop works through several frames of one
// read, writes to that connection are collected and leave together.
//
// # How a connection ends
//
//	open ─┬─ Close ──────────────► closing ─┐
//	      ├─ close frame, violation, end ───┴─► finishing ─► over
//	      ├─ failed write ───────► broken ─────────────────► over
//	      └─ slow, silent ─────────────────────────────────► over
//
// In closing our close frame is queued and the peer's is awaited; what else it
// sends is thrown away. In finishing the last byte is queued; when it is sent
// the stream is ended (SHUT_WR), and what the peer still sends is read and
// thrown away until its end of stream: to close a socket with unread bytes
// would reset the connection and could destroy the close frame on its way. Both
// last CloseTimeout at most, unless the peer is still taking what it is owed.
// In broken nothing can be written, but a close frame that the peer sent before
// is still found.
//
// Handler.Closed is called when the end is known: at once, but for Close, after
// which the peer has its chance to answer. The descriptor is closed later, by
// the loop; no event or write can reach the next connection with its number,
// because writers look at it under the lock and events name a slot and its
// generation.
//
// # What is bounded
//
// A message by MessageBytes and Fragments, refused at the header that goes
// over; what waits for a peer by OutboundBytes, over which it is cut; control
// frames by ControlRate; connections by Connections, and how fast they come by
// Admission; those that are not WebSockets, yet or ever, by
// ListenOptions.Pending, and one handshake in bytes and time by
// HandshakeOptions; reads by a budget per turn of the loop; what the kernel
// holds, and for how long, by ListenOptions. A buffer grows with the bytes that
// came, never with a length that was announced. Every refusal, cut and drop is
// counted in Stats under its name.
package transport
