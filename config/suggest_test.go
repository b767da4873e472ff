package config

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestNearestIsWhatTheWriterMeant(t *testing.T) {
	var paths []string
	for k := range knobs() {
		paths = append(paths, k.path)
	}
	for _, c := range []struct{ story, name, want string }{
		{"a letter swapped", "lisetn", "listen"},
		{"a letter left out", "limits.conections", "limits.connections"},
		{"camel case", "session.idleAfter", "session.idle_after"},
		{"kebab case", "session.idle-after", "session.idle_after"},
		{"shouting", "LISTEN", "listen"},
		{"without its section", "idle_after", "session.idle_after"},
		{"in another section", "heartbeat.linger", "room.linger"},
		{"with a word too many", "limits.max_connections", "limits.connections"},
		{"something else", "database.url", ""},
		{"nothing", "", ""},
		{"only punctuation", "._-", ""},
		{"absurdly long", strings.Repeat("listen", 1000), ""},
		{"not even text", "\xff\xfe\xfd", ""},
	} {
		t.Run(c.story, func(t *testing.T) { require.Equal(t, c.want, nearest(c.name, paths)) })
	}
}

func TestDistance(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want int
	}{
		{"", "", 0},
		{"", "abc", 3},
		{"abc", "", 3},
		{"abc", "abc", 0},
		{"abc", "acb", 1}, // two neighbours swapped
		{"abc", "ac", 1},
		{"kitten", "sitting", 3},
	} {
		require.Equal(t, c.want, distance(c.a, c.b), "%s to %s", c.a, c.b)
	}
}
