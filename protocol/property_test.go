package protocol

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// jsonValue draws a JSON text as a client may send it: any value, spaced in
// one of several ways, at most six levels deep.
func jsonValue() *rapid.Generator[json.RawMessage] {
	return rapid.Custom(func(t *rapid.T) json.RawMessage {
		b, err := json.Marshal(drawValue(t, 6))
		if err != nil {
			t.Fatal(err)
		}
		if rapid.Bool().Draw(t, "spaced") {
			b, _ = json.MarshalIndent(json.RawMessage(b), "", " ")
		}
		return b
	})
}

func drawValue(t *rapid.T, levels int) any {
	most := 5
	if levels == 0 {
		most = 3
	}
	switch rapid.IntRange(0, most).Draw(t, "kind") {
	case 0:
		return nil
	case 1:
		return rapid.Bool().Draw(t, "bool")
	case 2:
		return rapid.Float64().Draw(t, "number")
	case 3:
		return rapid.String().Draw(t, "string")
	case 4:
		list := make([]any, rapid.IntRange(0, 4).Draw(t, "length"))
		for i := range list {
			list[i] = drawValue(t, levels-1)
		}
		return list
	default:
		object := map[string]any{}
		for range rapid.IntRange(0, 4).Draw(t, "members") {
			object[rapid.String().Draw(t, "name")] = drawValue(t, levels-1)
		}
		return object
	}
}

func optional(data *rapid.Generator[json.RawMessage]) *rapid.Generator[json.RawMessage] {
	return rapid.OneOf(rapid.Just(json.RawMessage(nil)), data)
}

func anyRequest() *rapid.Generator[Request] {
	room := rapid.StringMatching(`[A-Za-z0-9._:~@-]{1,20}(/[A-Za-z0-9._:~@-]{1,20}){0,3}`)
	return rapid.Custom(func(t *rapid.T) Request {
		return Request{ID: rapid.Uint64Range(0, MaxID).Draw(t, "id"), Room: room.Draw(t, "room")}
	})
}

// command draws any command that keeps the rules.
func command() *rapid.Generator[Command] {
	return rapid.Custom(func(t *rapid.T) Command {
		r := anyRequest().Draw(t, "request")
		data := jsonValue().Filter(func(b json.RawMessage) bool { return len(b) <= MaxSignalBytes })
		switch rapid.SampledFrom([]string{"join", "leave", "publish", "update", "signal", "members", "history", "ping"}).Draw(t, "type") {
		case "join":
			c := &Join{
				Request: r, Data: optional(data).Draw(t, "data"), History: rapid.IntRange(0, MaxHistoryLimit).Draw(t, "history"),
				Observe: rapid.Bool().Draw(t, "observe"),
			}
			if rapid.Bool().Draw(t, "since") {
				c.Since = &Position{rapid.StringN(1, 16, MaxEpochBytes).Draw(t, "epoch"), rapid.Uint64Range(0, MaxID).Draw(t, "offset")}
			}
			return c
		case "leave":
			return &Leave{r}
		case "publish":
			return &Publish{r, data.Draw(t, "data"), rapid.StringN(0, 16, MaxKeyBytes).Draw(t, "key"), headers().Draw(t, "headers")}
		case "update":
			return &Update{r, data.Draw(t, "data")}
		case "signal":
			return &Signal{r, data.Draw(t, "data")}
		case "members":
			return &Members{r, rapid.IntRange(0, MaxMembersLimit).Draw(t, "limit"), rapid.StringN(0, 32, MaxCursorBytes).Draw(t, "cursor")}
		case "history":
			return &History{r, rapid.Uint64Range(0, MaxID).Draw(t, "before"), rapid.IntRange(0, MaxHistoryLimit).Draw(t, "limit")}
		default:
			return &Ping{Request{ID: r.ID}}
		}
	})
}

// headers draws what ValidHeaders holds for, or nil.
func headers() *rapid.Generator[json.RawMessage] {
	return rapid.Custom(func(t *rapid.T) json.RawMessage {
		all := rapid.MapOfN(rapid.StringMatching("[!-9;-~]{1,20}"), rapid.StringN(0, 20, 40).Filter(func(s string) bool { return !strings.Contains(s, "\x00") }), 0, 5).Draw(t, "headers")
		var h json.RawMessage
		for name, value := range all {
			h = AppendHeader(h, name, value)
		}
		return h
	})
}

// message draws any message of a server, its fields of any value.
func message() *rapid.Generator[Message] {
	needed, wanted := jsonValue(), optional(jsonValue())
	published := rapid.Custom(func(t *rapid.T) MessagePublished {
		m := anyOf[MessagePublished](nil).Draw(t, "fields")
		m.Data, m.Headers = needed.Draw(t, "data"), headers().Draw(t, "headers")
		return m
	})
	member := rapid.Custom(func(t *rapid.T) Member {
		m := anyOf[Member](nil).Draw(t, "fields")
		m.Data = wanted.Draw(t, "data")
		return m
	})
	updated := rapid.Custom(func(t *rapid.T) MemberUpdated {
		m := anyOf[MemberUpdated](nil).Draw(t, "fields")
		m.Data = wanted.Draw(t, "data")
		return m
	})
	joined := rapid.Custom(func(t *rapid.T) MemberJoined {
		m := anyOf[MemberJoined](nil).Draw(t, "fields")
		m.Member = member.Draw(t, "member")
		return m
	})
	parts := map[reflect.Type]*rapid.Generator[any]{
		reflect.TypeFor[json.RawMessage]():    needed.AsAny(),
		reflect.TypeFor[Member]():             member.AsAny(),
		reflect.TypeFor[MessagePublished]():   published.AsAny(),
		reflect.TypeFor[[]Member]():           rapid.SliceOfN(member, 0, 3).AsAny(),
		reflect.TypeFor[[]MessagePublished](): rapid.SliceOfN(published, 0, 3).AsAny(),
		reflect.TypeFor[[]MemberJoined]():     rapid.SliceOfN(joined, 0, 3).AsAny(),
		reflect.TypeFor[[]MemberUpdated]():    rapid.SliceOfN(updated, 0, 3).AsAny(),
		reflect.TypeFor[*Roster]():            rapid.Just[any]((*Roster)(nil)),
	}
	return rapid.Custom(func(t *rapid.T) Message {
		switch rapid.IntRange(0, 15).Draw(t, "type") {
		case 0:
			return draw[Welcome](t, parts)
		case 1:
			return draw[OK](t, parts)
		case 2:
			return draw[Joined](t, parts)
		case 3:
			return draw[MemberList](t, parts)
		case 4:
			return draw[Messages](t, parts)
		case 5:
			return draw[Pong](t, parts)
		case 6:
			m := draw[Error](t, parts)
			m.RetryMS = rapid.Int64Min(0).Draw(t, "retry_ms")
			return m
		case 7:
			return draw[Bye](t, parts)
		case 8:
			return draw[MemberJoined](t, parts)
		case 9:
			return draw[MemberLeft](t, parts)
		case 10:
			m := updated.Draw(t, "update")
			return &m
		case 11:
			m := published.Draw(t, "message")
			return &m
		case 12:
			return draw[Presence](t, parts)
		case 13:
			return draw[Occupancy](t, parts)
		case 14:
			return draw[ModeChanged](t, parts)
		default:
			return draw[Signaled](t, parts)
		}
	})
}

func anyOf[T any](parts map[reflect.Type]*rapid.Generator[any]) *rapid.Generator[T] {
	return rapid.MakeCustom[T](rapid.MakeConfig{Types: parts})
}

func draw[T any](t *rapid.T, parts map[reflect.Type]*rapid.Generator[any]) *T {
	m := anyOf[T](parts).Draw(t, "fields")
	return &m
}

func TestEveryCommandSurvivesTheWire(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := command().Draw(t, "command")
		frame := c.AppendJSON(nil)
		if !json.Valid(frame) {
			t.Fatalf("not JSON: %s", frame)
		}
		got, err := Decode(frame)
		if err != nil {
			t.Fatalf("Decode(%s): %v", frame, err)
		}
		if diff := cmp.Diff(c, got); diff != "" {
			t.Fatalf("Decode(%s) (-want +got):\n%s", frame, diff)
		}
	})
}

func TestEveryMessageSurvivesTheWire(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := message().Draw(t, "message")
		frame := m.AppendJSON(nil)
		if !json.Valid(frame) {
			t.Fatalf("not JSON: %s", frame)
		}
		got, err := DecodeMessage(frame)
		if err != nil {
			t.Fatalf("DecodeMessage(%s): %v", frame, err)
		}
		if diff := cmp.Diff(m, got, cmpopts.EquateEmpty()); diff != "" {
			t.Fatalf("DecodeMessage(%s) (-want +got):\n%s", frame, diff)
		}
	})
}

// The hand-written encoders and the struct tags say the same: the fields that
// one writes are those that the other would, and a type before them.
func TestEncodersAgreeWithTheirTags(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := message().Draw(t, "message")
		frame := m.AppendJSON(nil)
		tagged, err := json.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		var got, want map[string]any
		if json.Unmarshal(frame, &got) != nil || json.Unmarshal(tagged, &want) != nil {
			t.Fatalf("not objects: %s, %s", frame, tagged)
		}
		delete(got, "type")
		for _, list := range []string{"members", "messages", "joins", "leaves", "updates"} {
			if want[list] == nil && got[list] != nil {
				want[list] = []any{} // a list of none is [], never null
			}
			if messages, ok := got["messages"].([]any); ok {
				for _, m := range messages {
					delete(m.(map[string]any), "type") // events are complete in lists too
				}
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("%s (-tags +encoder):\n%s", frame, diff)
		}
	})
}

// However many joins share a roster, and whoever is added between them: each
// has the JSON that its own members would have.
func TestJoinedOfARosterIsTheSameJoined(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		members := rapid.SliceOfN(anyOf[Member](map[reflect.Type]*rapid.Generator[any]{
			reflect.TypeFor[json.RawMessage](): optional(jsonValue()).AsAny(),
		}), 0, 6).Draw(t, "members")
		first := rapid.IntRange(0, len(members)).Draw(t, "first")
		roster := NewRoster(append([]Member(nil), members[:first]...))
		for n := first; ; n++ {
			for range rapid.IntRange(0, 2).Draw(t, "joins") {
				own := &Joined{Room: "r", Members: members[:n]}
				shared := &Joined{Room: "r", Members: roster.Members(), Roster: roster}
				require.Equal(t, string(own.AppendJSON(nil)), string(shared.AppendJSON([]byte("x"))[1:]))
				require.Empty(t, cmp.Diff(own.Members, shared.Members, cmpopts.EquateEmpty()))
			}
			if n == len(members) {
				return
			}
			roster.Add(members[n])
		}
	})
}

func TestAppendStringSpellsAnyString(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := string(rapid.OneOf(rapid.SliceOf(rapid.Byte()), rapid.Map(rapid.String(), func(s string) []byte { return []byte(s) })).Draw(t, "bytes"))
		quoted := AppendString(nil, s)
		if !utf8.Valid(quoted) {
			t.Fatalf("AppendString(%q) = %q: not UTF-8", s, quoted)
		}
		var got string
		if err := json.Unmarshal(quoted, &got); err != nil {
			t.Fatalf("AppendString(%q) = %q: %v", s, quoted, err)
		}
		if want := string([]rune(s)); got != want { // bytes that are not UTF-8 become U+FFFD, each of them
			t.Fatalf("AppendString(%q) spells %q, want %q", s, got, want)
		}
	})
}

func TestAppendStringEscapes(t *testing.T) {
	for in, want := range map[string]string{
		``:                 `""`,
		`a "b" \c/`:        `"a \"b\" \\c/"`,
		"\n\r\t\b\x00\x1f": `"\n\r\t\u0008\u0000\u001f"`,
		"é 😀 \u2028 \x7f":  "\"é 😀 \u2028 \x7f\"",
		"a\xffb\xe2\x82":   "\"a\ufffdb\ufffd\ufffd\"",
		"</script>":        `"</script>"`,
	} {
		require.Equal(t, want, string(AppendString(nil, in)))
	}
}

func TestEncodersAppend(t *testing.T) {
	m := &Pong{ID: 8, At: 3}
	require.Equal(t, `before{"type":"pong","id":8,"at":3}`, string(m.AppendJSON([]byte("before"))))
}

// What a caller leaves out is no broken frame.
func TestEncodersNeedNoData(t *testing.T) {
	for _, c := range []Command{
		&Join{Request: request(1), Data: json.RawMessage{}}, &Publish{Request: request(1)}, &Update{Request: request(1)}, &Signal{Request: request(1)},
		&Members{Request: request(1), Limit: -1}, &History{Request: request(1), Limit: -1},
	} {
		frame := c.AppendJSON(nil)
		_, err := Decode(frame)
		require.Nil(t, err, "%s", frame)
	}
	for _, m := range []Message{&MessagePublished{}, &Signaled{}, &Joined{}, &MemberList{}, &Messages{}, &MemberUpdated{}, &Error{RetryMS: -1}} {
		require.True(t, json.Valid(m.AppendJSON(nil)), "%s", m.AppendJSON(nil))
	}
}
