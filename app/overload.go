package app

import (
	"strconv"
	"strings"
	"sync"
	"time"

	"rollcall/actors"
	"rollcall/internal/logs"
	"rollcall/transport"
)

const (
	overloadLook  = time.Second      // between two looks at the counts
	overloadEvery = 10 * time.Second // between two lines while it lasts
	overloadCalm  = 5 * time.Second  // without a refusal: it is over
)

// overload tells the operator that newcomers are turned away because too many
// come at once: when it begins, every now and then while it lasts, and when it is
// over. A line for each of them would be a flood of its own.
type overload struct {
	counts []overloadCount
	next   time.Time // when to write again; zero: all is calm
	since  time.Time // it began
	last   time.Time // somebody was turned away

	mu      sync.Mutex
	loudest majority // among those refused with 503 since the last line
}

// overloadCount is one way to be turned away.
type overloadCount struct {
	name             string
	read             func() int64
	seen, told, calm int64 // what it was at the last look, line, calm
}

func newOverload(w *transport.Stats, s *actors.Stats) *overload {
	o := &overload{}
	add := func(name string, read func() int64) {
		o.counts = append(o.counts, overloadCount{name: name, read: read})
	}
	for _, k := range []transport.RefusalKind{
		transport.RefusedRate, transport.RefusedAddressRate, transport.RefusedFull,
		transport.RefusedPending, transport.RefusedAddressPending,
	} {
		add(k.String(), w.Refused[k].Load)
	}
	add("accept_failure", w.AcceptFailures.Load)
	add("join_shed", func() int64 { return int64(s.JoinsShed.Load()) })
	return o
}

// refused notes whom a 503 went to.
func (o *overload) refused(remoteIP string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.loudest.vote(remoteIP)
}

// watch looks until done, and writes what there is to tell.
func (o *overload) watch(done <-chan struct{}, lg logs.Log) {
	t := time.NewTicker(overloadLook)
	defer t.Stop()
	for {
		select {
		case <-done:
			return
		case now := <-t.C:
			if f := o.look(now); f != nil {
				lg.Warn(logs.Overload, f)
			}
		}
	}
}

// look returns the line to write now; nil: none.
func (o *overload) look(now time.Time) logs.Fields {
	fresh := false
	for i := range o.counts {
		c := &o.counts[i]
		n := c.read()
		fresh = fresh || n > c.seen
		c.seen = n
	}
	if fresh {
		o.last = now
	}
	switch {
	case o.next.IsZero() && fresh:
		o.since = now
		return o.line("begins", now)
	case o.next.IsZero():
		return nil
	case now.Sub(o.last) >= overloadCalm:
		f := o.line("over", now)
		o.next = time.Time{}
		for i := range o.counts {
			o.counts[i].calm = o.counts[i].seen
		}
		return f
	case fresh && !now.Before(o.next):
		return o.line("lasts", now)
	}
	return nil
}

// line tells what was counted since the line before it; when it is over, since
// it began.
func (o *overload) line(state string, now time.Time) logs.Fields {
	var parts []string
	total := int64(0)
	for i := range o.counts {
		c := &o.counts[i]
		from := c.told
		if state == "over" {
			from = c.calm
		}
		if n := c.seen - from; n > 0 {
			total += n
			parts = append(parts, c.name+" "+strconv.FormatInt(n, 10))
		}
		c.told = c.seen
	}
	o.next = now.Add(overloadEvery)
	f := logs.Fields{"state": state, "count": total, "reason": strings.Join(parts, ", "), "duration_ms": now.Sub(o.since).Milliseconds()}
	o.mu.Lock()
	defer o.mu.Unlock()
	if who := o.loudest.leader(); who != "" {
		f["remote_ip"] = who
	}
	o.loudest = majority{}
	return f
}

// majority finds who has more than half of the votes, if anybody has, without
// counting each (Boyer and Moore).
type majority struct {
	who              string
	lead, sure, cast int // of who over the others; votes of who since it is who; votes of all
}

func (m *majority) vote(who string) {
	m.cast++
	switch {
	case m.lead == 0:
		m.who, m.lead, m.sure = who, 1, 1
	case who == m.who:
		m.lead++
		m.sure++
	default:
		m.lead--
	}
}

// leader is who has more than half for sure; empty: nobody.
func (m *majority) leader() string {
	if 2*m.sure > m.cast {
		return m.who
	}
	return ""
}
