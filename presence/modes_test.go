package presence

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"rollcall/protocol"
)

func TestModeByTheNumberOfMembers(t *testing.T) {
	const none, full, batch, count = protocol.Mode(""), protocol.ModeFull, protocol.ModeBatch, protocol.ModeCount
	by := func(fullMax, listMax int) Modes { return Modes{fullMax, listMax, time.Second} }
	for _, c := range []struct {
		modes   Modes
		current protocol.Mode
		members int
		storm   bool
		want    protocol.Mode
	}{
		{by(200, 5000), none, 0, false, full},
		{by(200, 5000), full, 200, false, full},
		{by(200, 5000), full, 201, false, batch},
		{by(200, 5000), batch, 200, false, batch},
		{by(200, 5000), batch, 161, false, batch},
		{by(200, 5000), batch, 160, false, full},
		{by(200, 5000), batch, 5000, false, batch},
		{by(200, 5000), batch, 5001, false, count},
		{by(200, 5000), count, 4001, false, count},
		{by(200, 5000), count, 4000, false, batch},
		{by(200, 5000), count, 161, false, batch},
		{by(200, 5000), count, 160, false, full},
		// a storm
		{by(200, 5000), full, 3, true, batch},
		{by(200, 5000), batch, 3, true, batch},
		{by(200, 5000), count, 5000, true, count},
		// no threshold, no such mode
		{by(0, 5000), none, 0, false, batch},
		{by(0, 5000), batch, 0, false, batch},
		{by(0, 0), none, 0, false, count},
		{by(0, 0), count, 0, false, count},
		{by(200, 0), count, 0, false, count},
		// the thresholds the wrong way round: no batch in between
		{by(200, 10), full, 10, false, full},
		{by(200, 10), full, 11, false, count},
		{by(200, 10), count, 8, false, full},
		// without an interval, nothing is collected
		{Modes{3, 5, 0}, full, 100, true, full},
	} {
		if got := c.modes.Next(c.current, c.members, c.storm); got != c.want {
			t.Errorf("%+v.Next(%q, %d, %v) = %q, want %q", c.modes, c.current, c.members, c.storm, got, c.want)
		}
	}
}

// rank orders the modes by how little they tell.
func rank(m protocol.Mode) int {
	return map[protocol.Mode]int{protocol.ModeFull: 0, protocol.ModeBatch: 1, protocol.ModeCount: 2}[m]
}

// Whatever members do: a room that went up comes down only once it has lost a
// fifth of the threshold, and goes up again only once it has won that back.
func TestModeDoesNotFlap(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		full := rapid.IntRange(1, 30).Draw(t, "full_max")
		m := Modes{full, full + rapid.IntRange(0, 30).Draw(t, "more"), time.Second}
		mode, members := m.Next("", 0, false), 0
		at := map[[2]int]int{} // the number of members at the last change between two ranks, either way
		for _, step := range rapid.SliceOfN(rapid.IntRange(-4, 5), 0, 200).Draw(t, "steps") {
			members = max(members+step, 0)
			next := m.Next(mode, members, false)
			if m.Next(next, members, false) != next {
				t.Fatalf("%+v: %d members make %s of %s, and %s of that", m, members, next, mode, m.Next(next, members, false))
			}
			for low := range 2 { // the thresholds that were crossed
				threshold := []int{m.FullMax, m.ListMax}[low]
				crossed := rank(mode) <= low != (rank(next) <= low)
				if !crossed {
					continue
				}
				key := [2]int{low, low + 1}
				if last, again := at[key]; again && 5*abs(members-last) < threshold {
					t.Fatalf("%+v: %s to %s at %d members, after a change at %d", m, mode, next, members, last)
				}
				at[key] = members
			}
			mode = next
		}
	})
}

func abs(n int) int { return max(n, -n) }

// A storm begins with more changes than FullMax in one interval, and never
// with fewer; it has begun for sure with twice as many. It lasts for a while, and
// ends when all is calm.
func TestStorm(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := Modes{rapid.IntRange(1, 10).Draw(t, "full_max"), 100, time.Duration(rapid.IntRange(10, 1000).Draw(t, "interval")) * time.Millisecond}
		var s Storm
		var changes []time.Duration
		now, began := time.Duration(rapid.IntRange(0, 5000).Draw(t, "start"))*time.Millisecond, time.Duration(0)
		within := func(limit int) bool { // the last limit+1 changes lie in one interval
			n := len(changes)
			return n > limit && changes[n-1]-changes[n-1-limit] < m.Interval
		}
		for _, pause := range rapid.SliceOfN(rapid.IntRange(0, int(2*m.Interval/time.Millisecond)/m.FullMax), 0, 100).Draw(t, "pauses") {
			before := s.On(now)
			now += time.Duration(pause) * time.Millisecond
			if before && !s.On(now) && now-began < calm(m) {
				t.Fatalf("a storm that began at %v is over at %v", began, now)
			}
			was := s.On(now)
			changes = append(changes, now)
			s.Change(m, now)
			switch {
			case !was && s.On(now) && !within(m.FullMax):
				t.Fatalf("%+v: a storm at %v after %v", m, now, changes)
			case !s.On(now) && within(2*m.FullMax):
				t.Fatalf("%+v: no storm at %v after %v", m, now, changes)
			case !was && s.On(now):
				began = now
			}
		}
		if s.On(now + calm(m)) {
			t.Fatalf("the storm does not end: now %v, end %v", now, s.End())
		}
	})
}

func TestAStormEndsOnceItIsCalm(t *testing.T) {
	m := Modes{5, 100, 100 * time.Millisecond}
	var s Storm
	for range 5 {
		s.Change(m, time.Second)
	}
	if s.On(time.Second) {
		t.Error("five changes in an interval are a storm, want six")
	}
	s.Change(m, time.Second)
	for i := range 40 { // as many as four fifths of it: no new gust
		s.Change(m, 1100*time.Millisecond+time.Duration(i)*25*time.Millisecond)
	}
	if on, off := s.On(3*time.Second-1), s.On(3*time.Second); !on || off {
		t.Errorf("storm until %v, want two seconds after its only gust", s.End())
	}
}
