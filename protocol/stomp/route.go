package stomp

import (
	"fmt"
	"strings"
)

// Routes say where a SEND goes that names a destination of the front end's own:
// a broker's application maps one destination to another, and clients know the
// first one alone. The zero value has none.
type Routes struct {
	to    map[string]string // whole destinations
	below []route           // what lies below others
}

type route struct{ from, to string }

const (
	maxRoutes     = 1024
	maxRouteBytes = 512 // of one destination
)

// ParseRoutes reads routes, each from=to: a SEND to from goes where one to to
// does. Where both end in a slash it is about what lies below, and the longest
// one counts; a route of the whole destination counts before those. The error
// says what each item must be, and which one is not.
func ParseRoutes(items []string) (*Routes, error) {
	if len(items) > maxRoutes {
		return nil, fmt.Errorf("must hold at most %d routes", maxRoutes)
	}
	r := &Routes{to: map[string]string{}}
	for i, item := range items {
		from, to, found := strings.Cut(item, "=")
		from, to = strings.TrimSpace(from), strings.TrimSpace(to)
		below := strings.HasSuffix(from, "/")
		example := to
		if below {
			example += "x"
		}
		d, ok := parseDestination(example)
		switch {
		case !found, len(from) < 2, from[0] != '/', len(from) > maxRouteBytes, len(to) > maxRouteBytes,
			strings.ContainsFunc(from, func(r rune) bool { return r <= ' ' || r == 0x7f || r == '\uFFFD' }):
			return nil, fmt.Errorf("must hold routes such as /app/hello=/topic/greetings; item %d is none", i+1)
		case below != strings.HasSuffix(to, "/"):
			return nil, fmt.Errorf("must have a slash at the end of both sides, or of neither; item %d has one", i+1)
		case !ok || !d.sendable():
			return nil, fmt.Errorf("must lead to /topic/{room}, /app/{room} or /user/{user}/queue/{name}; item %d does not", i+1)
		case r.has(from):
			return nil, fmt.Errorf("must hold each destination once; item %d is one that was there", i+1)
		}
		if below {
			r.below = append(r.below, route{from, to})
		} else {
			r.to[from] = to
		}
	}
	for i, item := range items {
		_, to, _ := strings.Cut(item, "=")
		if to = strings.TrimSpace(to); r.of(to) != to || r.has(to) {
			return nil, fmt.Errorf("must not lead from one route to another; item %d does", i+1)
		}
	}
	return r, nil
}

// has reports whether there is a route of exactly that.
func (r *Routes) has(from string) bool {
	_, whole := r.to[from]
	for _, b := range r.below {
		whole = whole || b.from == from
	}
	return whole
}

// of is where a SEND to a destination goes.
func (r *Routes) of(destination string) string {
	if r == nil {
		return destination
	}
	if to, ok := r.to[destination]; ok {
		return to
	}
	var longest route
	for _, b := range r.below {
		if len(b.from) > len(longest.from) && strings.HasPrefix(destination, b.from) {
			longest = b
		}
	}
	if longest.from == "" {
		return destination
	}
	return longest.to + destination[len(longest.from):]
}
