package engine

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"rollcall/protocol"
)

func TestKindHasAName(t *testing.T) {
	names := map[Kind]string{Join: "join", Leave: "leave", Update: "update", Message: "message", Ban: "ban", Unban: "unban"}
	for k := range 256 {
		want, known := names[Kind(k)]
		if !known {
			want = "unknown"
		}
		require.Equal(t, want, Kind(k).String(), "Kind(%d)", k)
	}
}

func TestStampTellsPrevOnlyWhereTheCountHasAHole(t *testing.T) {
	for _, c := range []struct {
		story              string
		offset, prev, want uint64
	}{
		{"the first of a dense count", 1, 0, 0},
		{"the next of a dense count", 42, 41, 0},
		{"after a hole", 42, 40, 40},
		{"after a big hole", 1 << 40, 1, 1},
	} {
		t.Run(c.story, func(t *testing.T) {
			e := Event{Proposal: &Proposal{At: 7}, Offset: c.offset, Prev: c.prev}
			require.Equal(t, protocol.Stamp{Room: "lobby", Offset: c.offset, Prev: c.want, At: 7}, e.Stamp("lobby"))
		})
	}
}

func TestPublishedCarriesAllOfTheMessage(t *testing.T) {
	e := Event{
		Proposal: &Proposal{Kind: Message, ID: "m1", Session: "s1", User: "kim", Name: "Kim", Data: json.RawMessage(`{"text":"hi"}`), Key: "k", At: 7},
		Offset:   42, Prev: 40,
	}
	require.Equal(t, &protocol.MessagePublished{
		Stamp:   protocol.Stamp{Room: "lobby", Offset: 42, Prev: 40, At: 7},
		Message: "m1", Session: "s1", User: "kim", Name: "Kim", Data: json.RawMessage(`{"text":"hi"}`), Key: "k",
	}, e.Published("lobby"))
}
