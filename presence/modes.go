package presence

import (
	"time"

	"rollcall/protocol"
)

// Modes are the sizes and the pace at which a room tells of presence in one way
// or another, docs/protocol.md §7.
type Modes struct {
	FullMax  int           // most members of a room in ModeFull; 0: none is small enough
	ListMax  int           // most members of a room in ModeBatch; 0: likewise
	Interval time.Duration // for how long ModeBatch collects changes; 0: every room is in ModeFull
}

// Next is the mode of a room of so many members that is in the mode current;
// empty: in none yet. A storm is no time for ModeFull. A room goes up above a
// threshold, and comes down at four fifths of it and below.
func (m Modes) Next(current protocol.Mode, members int, storm bool) protocol.Mode {
	switch {
	case m.Interval <= 0:
		return protocol.ModeFull
	case above(members, m.ListMax, current == protocol.ModeCount):
		return protocol.ModeCount
	case storm, above(members, m.FullMax, current == protocol.ModeBatch || current == protocol.ModeCount):
		return protocol.ModeBatch
	}
	return protocol.ModeFull
}

// above reports whether n is above a threshold, or, where it was above already,
// still not well below.
func above(n, threshold int, already bool) bool {
	if threshold <= 0 {
		return true
	}
	if already {
		return 5*n > 4*threshold
	}
	return n > threshold
}

// Storm tells when a room's changes come too fast to be told one by one: more
// than FullMax within one Interval. It is over once they have been well below
// that for a while. Times are of any one clock. The zero value is calm.
type Storm struct {
	from    time.Duration // when the changes began to be counted
	changes int           // since then
	end     time.Duration // 0: there is none
}

// Change counts one change at now. Those of one Interval are counted together,
// beginning with the first: what lies across two of them counts in each for
// itself.
func (s *Storm) Change(m Modes, now time.Duration) {
	if now-s.from >= m.Interval {
		s.from, s.changes = now, 0
	}
	s.changes++
	if above(s.changes, m.FullMax, s.On(now)) {
		s.end = now + calm(m)
	}
}

// On reports whether there is a storm at now.
func (s *Storm) On(now time.Duration) bool { return now < s.end }

// End is when the storm is over, or was, should nothing happen until then.
func (s *Storm) End() time.Duration { return s.end }

// calm is how long a storm lasts after its last gust.
func calm(m Modes) time.Duration { return max(8*m.Interval, 2*time.Second) }
