package logs

import (
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestOperationsShowsEveryEvent holds docs/operations.md against the
// vocabulary: a line of each event, with its own text, and no other.
func TestOperationsShowsEveryEvent(t *testing.T) {
	doc, err := os.ReadFile("../../docs/operations.md")
	require.NoError(t, err)
	shown := map[Event]bool{}
	for _, line := range strings.Split(string(doc), "\n") {
		if !strings.HasPrefix(line, "{") {
			continue
		}
		var f struct {
			Event                Event
			Level, Message, Time string
		}
		require.NoError(t, json.Unmarshal([]byte(line), &f), line)
		require.Contains(t, text, f.Event, "an event that is not in the vocabulary")
		require.Equal(t, text[f.Event], f.Message, f.Event)
		require.NotEmpty(t, f.Level)
		require.NotEmpty(t, f.Time)
		shown[f.Event] = true
	}
	for e := range text {
		require.True(t, shown[e], "docs/operations.md has no line of %s", e)
	}
}
