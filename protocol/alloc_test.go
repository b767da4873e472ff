package protocol

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"
)

// A room encodes every event while its members wait.
func TestEncodingAllocatesNothing(t *testing.T) {
	stamp := Stamp{Room: "lobby", Offset: 42, Prev: 40, At: 1790000000000}
	data := json.RawMessage(`{"text":"a \"line\""}`)
	member := Member{Session: "s_6f0k", User: "kim", Name: "Kim ✨", State: StateIdle, Data: data, Since: 1790000000000}
	published := MessagePublished{Stamp: stamp, Message: "m_2", Session: "s_6f0k", User: "kim", Name: "Kim ✨", Data: data, Key: "a1", Headers: json.RawMessage(`{"lang":"en"}`)}
	buf := make([]byte, 0, 4096)
	for _, m := range []Message{
		&MemberJoined{stamp, member, true},
		&MemberLeft{stamp, "s_6f0k", "kim", ReasonClosed, true, 1001},
		&MemberUpdated{stamp, "s_6f0k", "kim", StateIdle, data},
		&published,
		&Signaled{"lobby", "s_6f0k", "kim", data},
		&OK{7, 42, "k3v9", "m_2"},
		&Joined{1, "lobby", "k3v9", 42, "s_6f0k", ModeFull, false, Count{Sessions: 1, Users: 1}, []Member{member}, true, []MessagePublished{published}, nil},
		&Joined{Members: []Member{member}, Roster: NewRoster([]Member{member})},
		&Bye{CloseShutdown, "shutdown", true, 1500},
		&Error{7, ErrRateLimited, "slow down", "lobby", 250},
	} {
		require.Zero(t, testing.AllocsPerRun(100, func() { buf = m.AppendJSON(buf[:0]) }), "%T", m)
	}
}

// The scan itself allocates nothing; a command is what it keeps: itself, its
// room's name and its data.
func TestDecodingAllocatesWhatItKeeps(t *testing.T) {
	for _, tt := range []struct {
		frame string
		want  float64
	}{
		{`{"type":"ping","id":8}`, 1},
		{`{"type":"leave","id":2,"room":"lobby"}`, 2},
		{`{"type":"publish","id":3,"room":"lobby","data":{"text":"hi","tags":[{"a":1},{"a":2}]}}`, 3},
	} {
		frame := []byte(tt.frame)
		require.Equal(t, tt.want, testing.AllocsPerRun(100, func() { sinkCommand, _ = Decode(frame) }), "%s", tt.frame)
	}
}
