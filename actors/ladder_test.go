package actors

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"rollcall/protocol"
)

// The ladder is pure: each rung, and when to look next.
func TestLadder(t *testing.T) {
	const m, s = time.Minute, time.Second
	all := Rules{IdleAfter: 5 * m, DisconnectAfter: 30 * m, MaxAge: 60 * m}
	for _, c := range []struct {
		name  string
		rules Rules
		now   time.Duration
		signs signs
		want  verdict
		next  time.Duration
	}{
		{"just came", all, 0, signs{}, active, 5 * m},
		{"a moment before idle", all, 5*m - 1, signs{}, active, 5 * m},
		{"idle", all, 5 * m, signs{}, idle, 30 * m},
		{"was active since", all, 6 * m, signs{activity: 4 * m}, active, 9 * m},
		{"seen is not active", all, 6 * m, signs{seen: 6 * m}, idle, 30 * m},
		{"a moment before the end", all, 30*m - 1, signs{}, idle, 30 * m},
		{"out", all, 30 * m, signs{}, endIdle, 0},
		{"old age comes before idleness", all, 58 * m, signs{activity: 57 * m}, active, 60 * m},
		{"too old, whatever it does", all, 60 * m, signs{activity: 60 * m}, endExpired, 0},
		{"no rules", Rules{}, 1000 * m, signs{}, active, 0},
		{"idle alone", Rules{IdleAfter: m}, 2 * m, signs{}, idle, 0},
		{"disconnect alone", Rules{DisconnectAfter: m}, m - 1, signs{}, active, m},
		{"age alone", Rules{MaxAge: m}, 3 * m, signs{since: 2*m + 1}, active, 3*m + 1},

		{"promised, and kept", all, 29 * s, signs{promise: 10 * s, seen: 20 * s}, active, 50 * s},
		{"two of three missed", all, 30*s - 1, signs{promise: 10 * s}, active, 30 * s},
		{"three missed", all, 30 * s, signs{promise: 10 * s}, unresponsive, 30 * m},
		{"three missed, though active before", all, 4 * m, signs{promise: 10 * s, activity: 3 * m, seen: 3 * m}, unresponsive, 33 * m},
		{"three missed comes before idle", all, 6 * m, signs{promise: 10 * s}, unresponsive, 30 * m},
		{"idle, and keeps its promise", all, 6 * m, signs{promise: 10 * s, seen: 6*m - s}, idle, 6*m + 29*s},
		{"out, promise or not", all, 30 * m, signs{promise: 10 * s, seen: 30 * m}, endIdle, 0},

		{"away", all, s, signs{away: 10 * s}, active, 10 * s},
		{"away for too long", all, 10 * s, signs{away: 10 * s}, endAway, 0},
		{"away breaks no promise", all, 4 * m, signs{away: 5 * m, promise: s}, active, 5 * m},
		{"away and idle", all, 6 * m, signs{away: 7 * m}, idle, 7 * m},
	} {
		if got, next := c.rules.judge(c.now, c.signs); got != c.want || next != c.next {
			t.Errorf("%s: %v, next %v; want %v, next %v", c.name, got, next, c.want, c.next)
		}
	}
}

// Whoever looks at the times that judge names sees every change of the
// verdict: between two looks it stays as it was.
func TestNoVerdictChangesUnseen(t *testing.T) {
	instant := rapid.Map(rapid.IntRange(0, 200), func(n int) time.Duration { return time.Duration(n) })
	rapid.Check(t, func(t *rapid.T) {
		r := Rules{IdleAfter: instant.Draw(t, "idle"), DisconnectAfter: instant.Draw(t, "disconnect"), MaxAge: instant.Draw(t, "age")}
		s := signs{
			since: instant.Draw(t, "since"), activity: instant.Draw(t, "activity"), seen: instant.Draw(t, "seen"),
			away: instant.Draw(t, "away"), promise: instant.Draw(t, "promise"),
		}
		now := max(s.since, s.activity, s.seen)
		v, next := r.judge(now, s)
		for at := now; at < 1000 && v < endIdle; at++ { // an end is an end
			if next > 0 && at == next {
				v, next = r.judge(at, s)
			}
			if got, _ := r.judge(at, s); got != v {
				t.Fatalf("at %d it is %v, and still thought to be %v", at, got, v)
			}
			if next > 0 && next <= at {
				t.Fatalf("at %d the next look is at %d", at, next)
			}
		}
	})
}

func TestWhoIsHeld(t *testing.T) {
	r := Rules{ResumeWindow: 10 * time.Second, ReloadGrace: 2 * time.Second}
	for _, reason := range protocol.Reasons {
		want := time.Duration(0)
		switch reason {
		case protocol.ReasonLost:
			want = r.ResumeWindow
		case protocol.ReasonClosed:
			want = r.ReloadGrace
		}
		if got := r.hold(reason); got != want {
			t.Errorf("%s is held for %v, want %v", reason, got, want)
		}
	}
}
