package actors

import (
	"iter"
	"slices"
	"sync"
	"time"

	"rollcall/protocol"
)

// fanout writes a room's frames to those of its members who use one Encoding.
// The room encodes each event once, into the batch being filled; a writer,
// alive only while there is something to write, takes whole batches and writes
// each to every target with one Write. While one pass runs the next batch
// fills by itself: no delay when idle, coalescing under load, no allocation
// and no queue entry per member. Where targets are few the writer is the room's
// actor, once it has nothing else to do.
//
// A member who joins or leaves in the middle of a batch gets the part of it
// that is theirs, so a join takes effect exactly at its offset.
//
// The room's actor calls all methods but writer.
type fanout struct {
	enc   Encoding
	stats *Stats
	small int    // less than batchBytes, in tests; 0: batchBytes
	lend  func() // has the room's actor call write when it rests; nil: it does not

	mu      sync.Mutex
	full    []*batch // waiting, oldest first
	filling *batch   // the newest; nil: nothing waits
	number  uint64   // of the newest batch
	writing bool     // a writer is alive
	own     int      // bytes in the shares of all that waits
	first   int      // bytes of the newest target's first message
	drained func()   // called once own is small again; nil: nobody waits for it

	// Owned by the writer; between two writers, by the next.
	targets []*target
}

// target is one member's connection in a fanout.
type target struct {
	conn Connection

	// Owned by the room's actor, under fanout.mu.
	in    uint64 // number of the batch that share belongs to; 0: none
	share int32  // index in its shares

	// Owned by the writer.
	place int32 // in targets
	mark  int32 // index+1 in the shares of the batch being written; 0: all of it
}

// batch is frames that go out together.
type batch struct {
	number uint64 // counts the fanout's batches, from 1
	must   []byte // whole frames that every target gets
	may    []byte // frames that a connection with a backlog does without
	frames int
	first  time.Time // when the first of them came
	shares []share   // of targets who get something else than all of must
	held   []*command
}

var batches = sync.Pool{New: func() any { return new(batch) }}

// share is what one target gets of a batch: must[from:to] with its own
// messages where they belong, and may[may:].
type share struct {
	target        *target
	joins, leaves bool
	from, to      int    // to < 0: up to the end
	may           int    // the part of may that came before it joined
	own           []byte // messages for this target alone
	cuts          []cut
	wrote         func() // called once it is written; nil: nobody waits for it
}

// cut puts a part of a share's own messages between the events of must, or in
// place of must[at:on].
type cut struct {
	at, on int // in must
	end    int // of the part, in own
}

// insert puts m behind all that was told so far.
func (s *share) insert(b *batch, enc Encoding, m protocol.Message) (size int) {
	had := len(s.own)
	s.own = enc.Append(s.own, m)
	s.cuts = append(s.cuts, cut{len(b.must), len(b.must), len(s.own)})
	return len(s.own) - had
}

const (
	// batchBytes is how large a batch grows before the next is begun; it also
	// bounds what one write may add to a slow connection's backlog.
	batchBytes = 64 << 10
	// ownBytes is how much may wait that is meant for single targets, which is
	// mostly the snapshots of those who join.
	ownBytes = 4 << 20
	// longBytes is how long a message to one target must be to be written by
	// itself, in place.
	longBytes = 16 << 10
	// lendTargets is how many targets the room's own actor writes to: to wake
	// another goroutine costs as much as some writes, but while the actor writes
	// it hears nobody.
	lendTargets = 32
	// mayBytes is how many bytes of signals a batch takes; more are dropped.
	mayBytes = 16 << 10
)

// open returns the batch to append to. f.mu is held.
func (f *fanout) open() *batch {
	if b := f.filling; b != nil && len(b.must) < f.limit() {
		return b
	}
	b := batches.Get().(*batch)
	f.number++
	b.number, b.first = f.number, time.Now()
	if f.filling != nil {
		f.full = append(f.full, f.filling)
	}
	f.filling = b
	if !f.writing {
		f.writing = true
		if f.lend != nil && len(f.targets) <= lendTargets {
			f.lend()
		} else {
			go f.writer()
		}
	}
	return b
}

func (f *fanout) limit() int {
	if f.small > 0 {
		return f.small
	}
	return batchBytes
}

// tell appends an event for every target.
func (f *fanout) tell(m protocol.Message) {
	if f.deaf(m) {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock() // also where the encoding panics
	b := f.open()
	b.must = f.enc.Append(b.must, m)
	b.frames++
}

// tellVaried appends an event for every target, which has a variant for some of
// them. Of a variant only what comes before the end that it has in common with
// the event takes memory: there may be thousands that differ in a number.
func (f *fanout) tellVaried(m protocol.Message, variants iter.Seq2[*target, protocol.Message]) {
	if f.deaf(m) {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	b := f.open()
	at := len(b.must)
	b.must = f.enc.Append(b.must, m)
	b.frames++
	buf := buffers.Get().(*[]byte)
	for t, v := range variants {
		s := f.shareOf(b, t)
		*buf = f.enc.Append((*buf)[:0], v)
		same := commonEnd(b.must[at:], *buf)
		s.own = append(s.own, (*buf)[:len(*buf)-same]...)
		s.cuts = append(s.cuts, cut{at, len(b.must) - same, len(s.own)})
		f.own += len(*buf) - same
	}
	if cap(*buf) <= maxPooledBytes {
		buffers.Put(buf)
	}
}

// commonEnd is how many bytes at their ends a and b have in common.
func commonEnd(a, b []byte) (n int) {
	for n < min(len(a), len(b)) && a[len(a)-1-n] == b[len(b)-1-n] {
		n++
	}
	return n
}

// hint appends a message that may be dropped. It reports false where it was
// dropped right here: too many wait already.
func (f *fanout) hint(m protocol.Message) bool {
	if f.deaf(m) {
		return true
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	b := f.open()
	if len(b.may) >= mayBytes || len(f.full) > 0 {
		return false
	}
	b.may = f.enc.Append(b.may, m)
	b.frames++
	return true
}

// join adds a target: it gets first, and then what follows. Wrote is called
// once first is written; it may be nil.
func (f *fanout) join(t *target, first protocol.Message, wrote func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	b := f.open()
	s := f.shareOf(b, t)
	s.own = withRoom(s.own, f.first+f.first/16) // about as long as the last one
	f.first = s.insert(b, f.enc, first)
	f.own += f.first
	s.joins, s.from, s.may, s.wrote = true, len(b.must), len(b.may), wrote
}

// leave removes a target: it gets its last messages, and nothing of what
// follows. An event that is not nil is told to all before that, the target
// included: in one step, so that nothing that may be dropped gets between. Nils
// among the last are left out.
func (f *fanout) leave(t *target, event protocol.Message, last ...protocol.Message) {
	f.mu.Lock()
	defer f.mu.Unlock()
	b := f.open()
	s := f.shareOf(b, t)
	if event != nil {
		b.must = f.enc.Append(b.must, event)
		b.frames++
	}
	for _, m := range last {
		if m != nil {
			f.own += s.insert(b, f.enc, m)
		}
	}
	s.leaves, s.to = true, len(b.must)
}

// crowded reports whether so much waits for single targets that nobody should
// join now; then drained is called once that is over.
func (f *fanout) crowded(drained func()) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.own <= ownBytes {
		return false
	}
	f.drained = drained
	return true
}

// answer gives one target a message of its own, behind the events that were
// told so far and before those to come.
func (f *fanout) answer(t *target, m protocol.Message) {
	f.mu.Lock()
	defer f.mu.Unlock()
	b := f.open()
	f.own += f.shareOf(b, t).insert(b, f.enc, m)
}

// hold settles a command: at once while the writer keeps up, with the batch it
// is in where it does not, so that publishers go no faster than the room.
func (f *fanout) hold(m *command) {
	if !f.holds(m) {
		m.visit.settle(m.cost)
	}
}

// holds is hold where the writer does not keep up; else it reports false.
func (f *fanout) holds(m *command) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.filling == nil || len(f.full) == 0 {
		return false
	}
	f.filling.held = append(f.filling.held, m)
	return true
}

func (f *fanout) shareOf(b *batch, t *target) *share {
	if t.in != b.number {
		t.in, t.share = b.number, int32(len(b.shares))
		if len(b.shares) < cap(b.shares) { // keep the buffers of the last use
			b.shares = b.shares[:len(b.shares)+1]
			s := &b.shares[t.share]
			*s = share{target: t, to: -1, own: s.own[:0], cuts: s.cuts[:0]}
		} else {
			b.shares = append(b.shares, share{target: t, to: -1})
		}
	}
	return &b.shares[t.share]
}

// next takes the oldest batch, or ends the writer.
func (f *fanout) next() *batch {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.full) > 0 {
		b := f.full[0]
		f.full = slices.Delete(f.full, 0, 1)
		return b
	}
	b := f.filling
	f.filling = nil
	f.writing = b != nil
	return b
}

// writer is a goroutine that writes.
func (f *fanout) writer() {
	growStack()
	f.write()
}

// write writes one batch after the other until none waits.
func (f *fanout) write() {
	for b := f.next(); b != nil; b = f.next() {
		f.pass(b)
		b.recycle()
	}
}

// pass writes one batch to all.
func (f *fanout) pass(b *batch) {
	must := len(b.must)
	all := append(b.must, b.may...) //nolint:gocritic // must gets the longer array back
	b.must = all[:must]
	for i := range b.shares {
		s := &b.shares[i]
		s.target.mark = int32(i + 1)
		if s.joins {
			s.target.place = int32(len(f.targets))
			f.targets = append(f.targets, s.target)
		}
	}
	writes := len(f.targets)
	if len(all) > 0 {
		for _, t := range f.targets {
			if t.mark != 0 {
				f.part(&b.shares[t.mark-1], all, must)
			} else {
				t.conn.Write(all, must)
			}
		}
	} else { // nothing but answers: no need to look at everybody
		writes = len(b.shares)
		for i := range b.shares {
			if s := &b.shares[i]; f.has(s.target) {
				f.part(s, nil, 0)
			}
		}
	}
	for i := range b.shares {
		s := &b.shares[i]
		s.target.mark = 0
		if s.leaves {
			f.remove(s.target)
		}
		if s.wrote != nil {
			s.wrote()
		}
	}
	f.stats.fanout(writes, b.frames, time.Since(b.first))
	for _, m := range b.held {
		m.visit.settle(m.cost)
	}
	f.relieve(b)
}

// relieve takes a written batch off what waits for single targets.
func (f *fanout) relieve(b *batch) {
	n := 0
	for i := range b.shares {
		n += len(b.shares[i].own)
	}
	f.mu.Lock()
	f.own -= n
	drained := f.drained
	if f.own > ownBytes/2 {
		drained = nil
	} else {
		f.drained = nil
	}
	f.mu.Unlock()
	if drained != nil {
		drained()
	}
}

// part writes one target's share.
func (f *fanout) part(s *share, all []byte, must int) {
	to := must
	if s.leaves {
		to = s.to
	}
	buf := buffers.Get().(*[]byte)
	p, from, own := (*buf)[:0], s.from, 0
	for _, c := range s.cuts {
		at := min(c.at, to) // who leaves gets answers, but no more events
		p = append(p, all[from:at]...)
		if mine := s.own[own:c.end]; len(mine) < longBytes {
			p = append(p, mine...)
		} else { // a snapshot: not worth copying
			if len(p) > 0 {
				s.target.conn.Write(p, len(p))
			}
			answer(s.target.conn, mine)
			p = p[:0]
		}
		from, own = min(c.on, to), c.end
	}
	p = append(p, all[from:to]...)
	need := len(p)
	if !s.leaves {
		p = append(p, all[must+s.may:]...)
	}
	if len(p) > 0 {
		s.target.conn.Write(p, need)
	}
	if cap(p) <= maxPooledBytes {
		*buf = p
		buffers.Put(buf)
	}
}

// answer writes what the peer asked for, in full. Connections that have an
// Answer do not count it against what may wait for a peer.
func answer(conn Connection, b []byte) {
	if c, ok := conn.(interface{ Answer(b []byte) }); ok {
		c.Answer(b)
		return
	}
	conn.Write(b, len(b))
}

// has reports whether t is among the targets.
func (f *fanout) has(t *target) bool { return int(t.place) < len(f.targets) && f.targets[t.place] == t }

func (f *fanout) remove(t *target) {
	last := len(f.targets) - 1
	f.targets[last].place = t.place
	f.targets[t.place] = f.targets[last]
	f.targets[last] = nil
	f.targets = f.targets[:last]
	if cap(f.targets) > 64 && cap(f.targets) > 4*last {
		f.targets = append(make([]*target, 0, 2*last), f.targets...)
	}
}

// recycle keeps a written batch for any room's next, less what grew large.
func (b *batch) recycle() {
	shares := b.shares
	for i := range shares {
		s := &shares[i]
		if *s = (share{own: spare(s.own), cuts: s.cuts[:0]}); cap(s.cuts) > 64 {
			s.cuts = nil
		}
	}
	if cap(shares) > 64 {
		shares = nil
	}
	clear(b.held)
	held := b.held
	if cap(held) > 1024 {
		held = nil
	}
	*b = batch{must: modest(b.must, 2*batchBytes), may: modest(b.may, 2*mayBytes), shares: shares[:0], held: held[:0]}
	batches.Put(b)
}

// modest empties a buffer, and lets go of one that is larger than that.
func modest(b []byte, largest int) []byte {
	if cap(b) > largest {
		return nil
	}
	return b[:0]
}
