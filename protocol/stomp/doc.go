// Package stomp is STOMP 1.0, 1.1 and 1.2 as a client protocol of Rollcall: a
// codec of frames, and the translation between a STOMP client's frames and the
// protocol's commands and messages. It knows bytes and values; nothing of
// sockets, actors or time. docs/stomp.md is its public reference.
//
// A Parser makes frames of bytes, AppendFrame bytes of frames. A Session is
// one client's conversation: it takes frames and says what they ask for.
// A Stream writes what a room tells to one subscription; streams that are
// equal write equal bytes.
//
// Sections (§) are those of the STOMP 1.2 specification, where no other
// version is named.
package stomp
