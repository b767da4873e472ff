package referee

import "slices"

// Shortest is the least part of a history that still shows a violation: no
// entry of it can be left out. Lists of members in it are reduced to the
// session concerned where that still shows it.
func Shortest(h []Entry, rules Rules, v Violation) []Entry {
	shows := func(h []Entry) bool {
		return slices.ContainsFunc(Judge(h, rules).Violations, v.same)
	}
	if short := concerning(h, v); shows(short) {
		h = short
	}
	if v.Session != "" {
		var short []Entry
		for _, e := range h {
			if e.What = about(e.What, v.Room, v.Session); e.What != nil {
				short = append(short, e)
			}
		}
		if shows(short) {
			h = short
		}
	}
	return minimise(h, shows)
}

// concerning leaves out other rooms.
func concerning(h []Entry, v Violation) (short []Entry) {
	for _, e := range h {
		switch w := e.What.(type) {
		case *Told:
			if roomOf(w.Message) != v.Room {
				continue
			}
		case *Truth:
			if w.Room != v.Room {
				continue
			}
		case *Fate:
			if v.Session != "" && w.Session != v.Session {
				continue
			}
		}
		short = append(short, e)
	}
	return short
}

// minimise is delta debugging (Zeller and Hildebrandt, 2002): it leaves out
// ever smaller parts as long as what is left still shows it.
func minimise(h []Entry, shows func([]Entry) bool) []Entry {
	for size := len(h) / 2; size > 0; {
		left := len(h)
		for from := 0; from < len(h); {
			without := slices.Concat(h[:from], h[min(from+size, len(h)):])
			if shows(without) {
				h = without
			} else {
				from += size
			}
		}
		if size > 1 || len(h) == left { // single entries until none more can go
			size /= 2
		}
		size = min(size, len(h))
	}
	return h
}
