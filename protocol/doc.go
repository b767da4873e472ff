// Package protocol is the wire contract: commands, answers, events, leave
// reasons, close and error codes, limits, and their JSON codec. It knows bytes
// and values; nothing of sockets, actors or time. docs/protocol.md is its
// public reference, and every example there is decoded and encoded by a test.
//
// What a client sends is a Command, read by Decode. What a server sends is a
// Message, written by its AppendJSON and read by DecodeMessage. Frames are one
// JSON object each, in UTF-8.
package protocol

// Subprotocol is the WebSocket sub-protocol of version 1 (RFC 6455 §1.9).
const Subprotocol = "rollcall.v1.json"
