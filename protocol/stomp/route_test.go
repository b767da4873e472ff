package stomp

import (
	"strings"
	"testing"
)

func TestRoutes(t *testing.T) {
	r, err := ParseRoutes([]string{
		"/app/hello=/topic/greetings", " /send = /app/lobby ", "/app/chat/=/topic/", "/app/chat/old/=/topic/archive/", "/app/chat/me=/user/bob/queue/chat",
	})
	if err != nil {
		t.Fatal(err)
	}
	for from, want := range map[string]string{
		"/app/hello":       "/topic/greetings",
		"/app/hello/there": "/app/hello/there",
		"/send":            "/app/lobby",
		"/app/chat/dev":    "/topic/dev",
		"/app/chat/a/b":    "/topic/a/b",
		"/app/chat/old/1":  "/topic/archive/1", // the longest
		"/app/chat/me":     "/user/bob/queue/chat",
		"/app/chat/":       "/topic/", // no destination, and refused as one
		"/app/chat":        "/app/chat",
		"/topic/greetings": "/topic/greetings",
	} {
		if got := r.of(from); got != want {
			t.Errorf("a SEND to %s goes to %s, want %s", from, got, want)
		}
	}
	if got := (*Routes)(nil).of("/app/x"); got != "/app/x" {
		t.Errorf("without routes it goes to %s", got)
	}
}

func TestRoutesThatAreRefused(t *testing.T) {
	for _, c := range []struct{ item, rule string }{
		{"/app/hello", "must hold routes such as /app/hello=/topic/greetings; item 2 is none"},
		{"app=/topic/r", "must hold routes such as /app/hello=/topic/greetings; item 2 is none"},
		{"/=/topic/", "must hold routes such as /app/hello=/topic/greetings; item 2 is none"},
		{"/a b=/topic/r", "must hold routes such as /app/hello=/topic/greetings; item 2 is none"},
		{"/" + strings.Repeat("x", maxRouteBytes) + "=/topic/r", "must hold routes such as /app/hello=/topic/greetings; item 2 is none"},
		{"/a=", "must lead to /topic/{room}, /app/{room} or /user/{user}/queue/{name}; item 2 does not"},
		{"/a=/queue/r", "must lead to /topic/{room}, /app/{room} or /user/{user}/queue/{name}; item 2 does not"},
		{"/a=/topic/r/presence", "must lead to /topic/{room}, /app/{room} or /user/{user}/queue/{name}; item 2 does not"},
		{"/a=/user/queue/q", "must lead to /topic/{room}, /app/{room} or /user/{user}/queue/{name}; item 2 does not"},
		{"/a=/topic/@server", "must lead to /topic/{room}, /app/{room} or /user/{user}/queue/{name}; item 2 does not"},
		{"/a/=/topic/r", "must have a slash at the end of both sides, or of neither; item 2 has one"},
		{"/a=/topic/", "must have a slash at the end of both sides, or of neither; item 2 has one"},
		{"/first=/topic/r", "must hold each destination once; item 2 is one that was there"},
		{"/a=/first", "must lead to /topic/{room}, /app/{room} or /user/{user}/queue/{name}; item 2 does not"},
		{"/topic/r=/topic/s", "must not lead from one route to another; item 1 does"},
		{"/topic/=/app/", "must not lead from one route to another; item 1 does"},
		{"/topic/s=/topic/s", "must not lead from one route to another; item 2 does"},
	} {
		if _, err := ParseRoutes([]string{"/first=/topic/r", c.item}); err == nil || err.Error() != c.rule {
			t.Errorf("%s: %v, want %s", c.item, err, c.rule)
		}
	}
	if _, err := ParseRoutes(make([]string, maxRoutes+1)); err == nil {
		t.Error("any number of them")
	}
}
