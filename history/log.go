// Package history is the messages that a room keeps: the newest, up to a
// number and a size. It has no clock, no lock and no actor; whoever owns a Log
// calls it from one goroutine.
package history

import (
	"sort"

	"rollcall/protocol"
)

// Message is a kept message: the event as its members got it, never changed.
type Message = protocol.MessagePublished

// overhead is about what a message costs besides its own bytes: the event's
// fields and the log's indexes. BenchmarkOverhead measures it.
const overhead = 256

// Log keeps the newest messages of one room, by offset, id and key. The zero
// value keeps nothing.
type Log struct {
	maxMessages, maxBytes int

	kept  []*Message // by offset, growing
	bytes int
	lost  uint64 // offset of the newest message that is kept no more; 0: none
	ids   map[string]*Message
	keys  map[key]*Message
}

// key is what a user calls a message of theirs.
type key struct{ user, key string }

// New returns a log that keeps the newest messages, at most that many and at
// most about that many bytes. 0 or less of either keeps nothing.
func New(messages, bytes int) *Log {
	return &Log{maxMessages: messages, maxBytes: bytes, ids: map[string]*Message{}, keys: map[key]*Message{}}
}

// size is about what keeping m costs, in bytes.
func size(m *Message) int {
	return overhead + len(m.Data) + len(m.Headers) + len(m.Message) + len(m.Session) + len(m.User) + len(m.Name) + len(m.Key)
}

// Append keeps m, whose offset must be above every one before, and forgets
// the oldest messages that no longer fit. A message that alone is over the
// bound is not kept, nor is any before it: what is kept has no gap. An id or a
// key that is kept already names the newer message from now on.
func (l *Log) Append(m *Message) {
	n := size(m)
	if l.maxMessages <= 0 || n > l.maxBytes {
		l.forget(len(l.kept))
		l.lost = m.Offset
		return
	}
	over := 0
	for left := l.bytes; len(l.kept)-over >= l.maxMessages || left+n > l.maxBytes; over++ {
		left -= size(l.kept[over])
	}
	l.forget(over)
	l.kept = append(l.kept, m)
	l.bytes += n
	if m.Message != "" {
		l.ids[m.Message] = m
	}
	if m.Key != "" {
		l.keys[key{m.User, m.Key}] = m
	}
}

// forget drops the n oldest.
func (l *Log) forget(n int) {
	for i, m := range l.kept[:n] {
		l.bytes -= size(m)
		l.lost = m.Offset
		if l.ids[m.Message] == m {
			delete(l.ids, m.Message)
		}
		if k := (key{m.User, m.Key}); m.Key != "" && l.keys[k] == m {
			delete(l.keys, k)
		}
		l.kept[i] = nil
	}
	l.kept = l.kept[n:] // append moves the rest to a new array now and then
}

// ByID returns the kept message of that id, or nil. No message has the id "".
func (l *Log) ByID(id string) *Message { return l.ids[id] }

// ByKey returns the kept message that a user published with that key, or nil.
func (l *Log) ByKey(user, k string) *Message { return l.keys[key{user, k}] }

// Since returns the kept messages after an offset, oldest first. Complete says
// that none after it is gone. The slice is the log's own: valid until the next
// Append, and not to be changed.
func (l *Log) Since(offset uint64) (ms []*Message, complete bool) {
	return l.slice(l.after(offset), len(l.kept)), offset >= l.lost
}

// Newest returns the n newest messages, oldest first; none for an n below 1.
// The slice is valid as that of Since.
func (l *Log) Newest(n int) []*Message {
	return l.slice(len(l.kept)-max(0, min(n, len(l.kept))), len(l.kept))
}

// Before returns the n newest messages below an offset, oldest first; offset 0
// is above all, and an n below 1 gives none. More says that older ones are
// kept. The slice is valid as that of Since.
func (l *Log) Before(offset uint64, n int) (ms []*Message, more bool) {
	end := len(l.kept)
	if offset > 0 {
		end = l.after(offset - 1)
	}
	from := end - max(0, min(n, end))
	return l.slice(from, end), from > 0
}

// slice is a part of kept that an append of the caller's can't write into.
func (l *Log) slice(from, end int) []*Message { return l.kept[from:end:end] }

// Len is how many messages are kept.
func (l *Log) Len() int { return len(l.kept) }

// Bytes is about what the kept messages cost.
func (l *Log) Bytes() int { return l.bytes }

// after finds the first kept message above an offset.
func (l *Log) after(offset uint64) int {
	return sort.Search(len(l.kept), func(i int) bool { return l.kept[i].Offset > offset })
}
