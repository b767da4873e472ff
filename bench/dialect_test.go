package bench

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"rollcall/protocol"
)

// What a server of ours sends is understood, by the native dialect and through
// both framings of STOMP alike.
func TestReadNative(t *testing.T) {
	member := protocol.Member{Session: "s_1", User: "u", Name: "u", State: protocol.StateActive}
	stamp := protocol.Stamp{Room: "r", Offset: 42, At: 1}
	told := protocol.Stamp{Room: "r", Offset: 42, Prev: 40, At: 1}
	data := json.RawMessage(`"x"`)
	for _, tt := range []struct {
		m    protocol.Message
		want Event
	}{
		{&protocol.MessagePublished{Stamp: stamp, Message: "m_1", User: "u", Data: data}, Event{Kind: Message, First: 42, Last: 42}},
		{&protocol.MessagePublished{Stamp: told, Message: "m_1", User: "u", Data: data}, Event{Kind: Message, First: 41, Last: 42}},
		{&protocol.MemberJoined{Stamp: stamp, Member: member}, Event{Kind: Presence, Change: 1, First: 42, Last: 42}},
		{&protocol.MemberLeft{Stamp: stamp, Session: "s_1", User: "u", Reason: protocol.ReasonLeft}, Event{Kind: Presence, Change: -1, First: 42, Last: 42}},
		{&protocol.MemberUpdated{Stamp: stamp, Session: "s_1", User: "u", Data: data}, Event{Kind: Presence, First: 42, Last: 42}},
		{&protocol.Joined{Room: "r", Epoch: "e", Offset: 42, Count: protocol.Count{Sessions: 7, Users: 3}, Recovered: true}, Event{Kind: Joined, Counted: true, Count: 7, Last: 42}},
		{&protocol.Joined{Room: "r", Epoch: "e", Offset: 42}, Event{Kind: Refused}}, // not recovered
		{&protocol.OK{ID: 3, Offset: 9}, Event{Kind: Left}},
		{&protocol.OK{ID: 2}, Event{}},
		{&protocol.Error{Code: protocol.ErrInternal, Message: "m"}, Event{Kind: Refused}},
		{&protocol.Bye{Code: protocol.CloseSlow, Reason: "slow"}, Event{Kind: Refused}},
	} {
		frame := tt.m.AppendJSON(nil)
		require.Equal(t, tt.want, readNative(&Client{Token: "t", Last: 41}, frame), "%s", frame)
	}
	presence := `{"type":"presence","room":"r","from":41,"offset":42,"at":1,"joins":[],"leaves":[],"updates":[],"count":{"sessions":5,"users":5}}`
	require.Equal(t, Event{Kind: Presence, Counted: true, Count: 5, First: 41, Last: 42}, readNative(&Client{}, []byte(presence)))
	occupancy := `{"type":"occupancy","room":"r","offset":50,"at":1,"count":{"sessions":5,"users":5}}`
	require.Equal(t, Event{Kind: Presence, Counted: true, Count: 5, First: 42, Last: 50}, readNative(&Client{Last: 41}, []byte(occupancy)))
}

func TestReadStomp(t *testing.T) {
	c := &Client{User: "u", Room: "r"}
	for _, tt := range []struct {
		frame, sock string
		want        Kind
	}{
		{"RECEIPT\nreceipt-id:in\n\n\x00", `a["RECEIPT\nreceipt-id:in\n\n\u0000"]`, Joined},
		{"RECEIPT\nreceipt-id:out\n\n\x00", `a["RECEIPT\nreceipt-id:out\n\n\u0000"]`, Left},
		{"MESSAGE\nsubscription:messages\nmessage-id:e-1\n\nhi\x00", `a["MESSAGE\nsubscription:messages\nmessage-id:e-1\n\nhi\u0000"]`, Message},
		{"ERROR\nmessage:no\n\n\x00", `c[4500,"idle"]`, Refused},
		{"\n", "h", Other},
	} {
		require.Equal(t, tt.want, stomp{}.Read(c, []byte(tt.frame)).Kind, "%q", tt.frame)
		require.Equal(t, tt.want, sockjs{}.Read(c, []byte(tt.sock)).Kind, "%q", tt.sock)
	}
	joined := `{"type":"joined","room":"r","epoch":"e","offset":41,"count":{"sessions":7,"users":3},"recovered":true}`
	want := Event{Kind: Presence, Counted: true, Count: 7}
	require.Equal(t, want, stomp{}.Read(c, []byte("MESSAGE\nsubscription:presence\nmessage-id:e-1-joined\n\n"+joined+"\x00")))
	quoted, err := json.Marshal(joined)
	require.NoError(t, err)
	require.Equal(t, want, sockjs{}.Read(c, []byte(`a["MESSAGE\nsubscription:presence\nmessage-id:e-1-joined\n\n`+string(quoted[1:len(quoted)-1])+`\u0000"]`)))
}

// Reading and writing messages allocate nothing: a load that collects garbage
// measures itself.
func TestMessagesAllocateNothing(t *testing.T) {
	c := &Client{User: "a1u1", Room: "a1r1"}
	buf := make([]byte, 0, 4096)
	said := body{run: 1, sender: 2, seq: 3, at: 4}.append(nil, 98)
	for d, frame := range map[Driver]string{
		native{}: `{"type":"message","room":"a1r1","offset":42,"at":1,"message":"m_1","session":"s_1","user":"u","name":"u","data":"` + string(said) + `"}`,
		stomp{}:  "MESSAGE\nsubscription:messages\nmessage-id:e-1\n\n" + string(said) + "\x00",
		sockjs{}: `a["MESSAGE\nsubscription:messages\nmessage-id:e-1\n\n` + string(said) + `\u0000"]`,
	} {
		m := []byte(frame)
		require.Zero(t, testing.AllocsPerRun(100, func() {
			buf = d.Publish(buf[:0], c, said)
			if d.Read(c, m).Kind != Message {
				panic("it is a message")
			}
			if got, rest := nextBody(m); rest == nil || got.seq != 3 {
				panic("it has a body")
			}
		}), d.Name())
	}
}

// What surrounds a message of the floor is about as long as ours.
func TestTheFloorWritesAsManyBytes(t *testing.T) {
	c := &Client{User: "b12u1000", Room: "b12r0"}
	said := body{}.append(nil, 98)
	own := (&protocol.MessagePublished{
		Stamp: protocol.Stamp{Room: c.Room, Offset: 12345, At: 1790000000000}, Message: "m_12345",
		Session: "s_ajxniogk42uv74wx", User: c.User, Name: c.User, Data: json.RawMessage(`"` + string(said) + `"`),
	}).AppendJSON(nil)
	floors := floor{"each"}.Publish(nil, c, said)
	require.InEpsilon(t, len(own), len(floors), 0.1)
}

func TestPublishIsWhatTheServerTakes(t *testing.T) {
	c := &Client{User: "u", Room: "r"}
	_, err := protocol.Decode(native{}.Publish(nil, c, []byte("rcb:")))
	require.Nil(t, err)
	_, err = protocol.Decode(native{}.Join(nil, c, []byte(`"d"`)))
	require.Nil(t, err)
	_, err = protocol.Decode(native{}.Update(nil, c, []byte(`"d"`)))
	require.Nil(t, err)
	_, err = protocol.Decode(native{}.Leave(nil, c))
	require.Nil(t, err)
}
