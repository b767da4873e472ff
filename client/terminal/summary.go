package terminal

import (
	"fmt"
	"strings"
	"time"

	"rollcall/protocol"
)

// In a room that tells of presence in batches so many changes are lines of their
// own; more are summed up, and what is summed up is printed at most that often.
const (
	few             = 4
	summaryInterval = 2 * time.Second
	named           = 2 // people of a summary called by name
)

// crowd is people who came, or who left: how many, and the first by name.
type crowd struct {
	names []string
	n     int
}

func (c *crowd) add(name string) {
	if c.n++; len(c.names) < named {
		c.names = append(c.names, name)
	}
}

// String reads "Ann", "Ann and Bob" or "Ann, Bob and 48 others".
func (c *crowd) String() string {
	names := strings.Join(c.names, ", ")
	switch rest := c.n - len(c.names); {
	case rest > 1:
		return fmt.Sprintf("%s and %d others", names, rest)
	case rest == 1:
		return names + " and one other"
	}
	return strings.Join(c.names, " and ")
}

// presence shows several changes at once: a few as if they were single ones.
func (v *view) presence(e *protocol.Presence) {
	if len(e.Joins)+len(e.Leaves)+len(e.Updates) <= few && v.came.n+v.went.n == 0 {
		for i := range e.Joins {
			v.line(stamp(e.Joins[i].Stamp), v.arrival(&e.Joins[i]))
		}
		for i := range e.Leaves {
			v.line(stamp(e.Leaves[i].Stamp), v.departure(&e.Leaves[i], e.Joins))
		}
		for i := range e.Updates {
			v.change(&e.Updates[i])
		}
		return
	}
	for _, j := range e.Joins {
		if j.First {
			v.came.add(clean(j.Member.Name))
		}
	}
	for _, l := range e.Leaves {
		if l.Last {
			v.went.add(v.name(l.Session, l.User, e.Joins))
		}
	}
	if v.due == nil && v.came.n+v.went.n > 0 {
		v.due = time.AfterFunc(summaryInterval, func() {
			v.mu.Lock()
			defer v.mu.Unlock()
			v.sumUp(time.Now())
		})
	}
}

// sumUp prints what was summed up, if there is anything.
func (v *view) sumUp(now time.Time) {
	if v.due != nil {
		v.due.Stop()
		v.due = nil
	}
	if v.came.n > 0 {
		v.line(now, fmt.Sprintf("→ %s came; %s here", &v.came, people(v.roster.Count)))
	}
	if v.went.n > 0 {
		v.line(now, fmt.Sprintf("← %s left; %s here", &v.went, people(v.roster.Count)))
	}
	v.came, v.went = crowd{}, crowd{}
}

// stop ends what the view does by itself.
func (v *view) stop() {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.sumUp(time.Now())
}

func people(c protocol.Count) string {
	text := fmt.Sprint(c.Users)
	if c.Observers > 0 {
		text += fmt.Sprintf(" (and %d watching)", c.Observers)
	}
	return text
}
