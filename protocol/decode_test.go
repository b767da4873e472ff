package protocol

import (
	"encoding/json"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"
)

func request(id uint64) Request { return Request{ID: id, Room: "lobby"} }

func TestDecodeReadsEveryCommand(t *testing.T) {
	for _, tt := range []struct {
		name  string
		frame string
		want  Command
	}{
		{"a join, bare", `{"type":"join","room":"lobby"}`, &Join{Request: request(0)}},
		{"a join with everything", `{"type":"join","id":1,"room":"lobby","data":{"mood":"fine"},"history":20,"since":{"epoch":"k3v9","offset":41}}`,
			&Join{request(1), json.RawMessage(`{"mood":"fine"}`), 20, &Position{"k3v9", 41}, false}},
		{"an observer's join", `{"type":"join","observe":true,"room":"lobby"}`, &Join{Request: request(0), Observe: true}},
		{"a join that observes nothing", `{"type":"join","room":"lobby","observe":false}`, &Join{Request: request(0)}},
		{"a join since the beginning", `{"type":"join","room":"lobby","since":{"offset":0,"epoch":"e"}}`, &Join{Request: request(0), Since: &Position{"e", 0}}},
		{"a position may grow fields", `{"type":"join","room":"lobby","since":{"epoch":"e","offset":1,"node":"a"}}`,
			&Join{Request: request(0), Since: &Position{"e", 1}}},
		{"a leave", `{"type":"leave","id":2,"room":"lobby"}`, &Leave{request(2)}},
		{"a publish", `{"type":"publish","id":3,"room":"lobby","data":{"text":"hi"},"key":"a1"}`, &Publish{request(3), json.RawMessage(`{"text":"hi"}`), "a1", nil}},
		{"data that is null is data", `{"type":"publish","id":3,"room":"lobby","data":null}`, &Publish{request(3), json.RawMessage(`null`), "", nil}},
		{"data keeps its bytes", `{"type":"publish","id":3,"room":"lobby","data": { "n" : 1.50e+3 , "s":"\u0041\/" } }`,
			&Publish{request(3), json.RawMessage(`{ "n" : 1.50e+3 , "s":"\u0041\/" }`), "", nil}},
		{"an update", `{"type":"update","id":4,"room":"lobby","data":"away"}`, &Update{request(4), json.RawMessage(`"away"`)}},
		{"a signal", `{"type":"signal","id":5,"room":"lobby","data":true}`, &Signal{request(5), json.RawMessage(`true`)}},
		{"members, a first page", `{"type":"members","id":6,"room":"lobby"}`, &Members{Request: request(6)}},
		{"members, the next page", `{"type":"members","id":6,"room":"lobby","limit":1000,"cursor":"17"}`, &Members{request(6), 1000, "17"}},
		{"history, the newest", `{"type":"history","id":7,"room":"lobby"}`, &History{Request: request(7)}},
		{"history, older", `{"type":"history","id":7,"room":"lobby","before":41,"limit":100}`, &History{request(7), 41, 100}},
		{"a ping", `{"type":"ping","id":8}`, &Ping{Request{ID: 8}}},

		{"fields in any order, with white space", " {\t\"room\" : \"lobby\" ,\r\n\"type\":\"leave\"}\n", &Leave{request(0)}},
		{"names and values spelled with escapes", `{"t\u0079pe":"\u006ceave","room":"\u006cobby"}`, &Leave{request(0)}},
		{"unknown fields are ignored", `{"type":"leave","room":"lobby","trace":{"deep":[1,2,{}]},"Room":7}`, &Leave{request(0)}},
		{"so are those of other commands, whatever they hold", `{"type":"leave","room":"lobby","limit":"all","since":3,"key":[],"history":-1}`, &Leave{request(0)}},
		{"a ping needs no room, and minds none", `{"type":"ping","room":{}}`, &Ping{}},

		{"the smallest id", `{"type":"ping","id":1}`, &Ping{Request{ID: 1}}},
		{"the largest id", `{"type":"ping","id":9007199254740991}`, &Ping{Request{ID: MaxID}}},
		{"a room's name of one byte", `{"type":"leave","room":"x"}`, &Leave{Request{Room: "x"}}},
		{"a room's name of 128 bytes", `{"type":"leave","room":"` + strings.Repeat("x", 128) + `"}`, &Leave{Request{Room: strings.Repeat("x", 128)}}},
		{"no history wanted", `{"type":"join","room":"lobby","history":0}`, &Join{Request: request(0)}},
		{"the most history", `{"type":"join","room":"lobby","history":100}`, &Join{Request: request(0), History: 100}},
		{"a key of 64 bytes", `{"type":"publish","room":"lobby","data":1,"key":"` + strings.Repeat("é", 32) + `"}`,
			&Publish{request(0), json.RawMessage(`1`), strings.Repeat("é", 32), nil}},
		{"4 KiB of join data", `{"type":"join","room":"lobby","data":` + text(4<<10) + `}`, &Join{Request: request(0), Data: json.RawMessage(text(4 << 10))}},
		{"1 KiB of signal", `{"type":"signal","room":"lobby","data":` + text(1<<10) + `}`, &Signal{request(0), json.RawMessage(text(1 << 10))}},
		{"data nested as deep as it may", `{"type":"publish","room":"lobby","data":` + nested(MaxDepth-1) + `}`, &Publish{request(0), json.RawMessage(nested(MaxDepth - 1)), "", nil}},
		{"one name in two objects", `{"type":"publish","room":"lobby","data":[{"a":1},{"a":{"a":2}},{"type":3}]}`,
			&Publish{request(0), json.RawMessage(`[{"a":1},{"a":{"a":2}},{"type":3}]`), "", nil}},
		{"an object of many names", `{"type":"publish","room":"lobby","data":` + many(1000, "") + `}`, &Publish{request(0), json.RawMessage(many(1000, "")), "", nil}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := Decode([]byte(tt.frame))
			if err != nil {
				t.Fatalf("Decode(%s): %v", tt.frame, err)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("Decode(%s) (-want +got):\n%s", tt.frame, diff)
			}
		})
	}
}

func TestDecodeRefuses(t *testing.T) {
	const (
		notJSON   = "the frame is not valid JSON"
		notUTF8   = "the frame is not valid UTF-8"
		notObject = "the frame is not a JSON object"
		trailing  = "something follows the JSON object"
		deep      = "arrays and objects are nested too deeply"
		twice     = "an object has the same member twice"
		badID     = "id must be an integer from 1 to 2^53-1"
		badRoom   = "room must be 1 to 128 letters, digits and . _ : - ~ @ /, without a leading, trailing or doubled /"
		badSince  = `since must be a position: {"epoch":string,"offset":integer}`
		badKey    = "key must be a string of 1 to 64 bytes"
		badCursor = "cursor is not one of this server's"
		badBefore = "before must be an offset: an integer of 1 or more"
		badHist   = "history must be an integer from 0 to 100"
		badObs    = "observe must be true or false"
		bad       = ErrBadRequest
	)
	refused := func(id uint64, room string, message string) *Error {
		return &Error{ID: id, Code: bad, Message: message, Room: room}
	}
	for _, tt := range []struct {
		name  string
		frame string
		want  *Error
	}{
		// No JSON, or not the kind we take: nothing in it counts, its id neither.
		{"an empty frame", ``, refused(0, "", notJSON)},
		{"white space", " \t\r\n", refused(0, "", notJSON)},
		{"other white space", "\v{}", refused(0, "", notJSON)},
		{"a byte order mark", "\ufeff{}", refused(0, "", notJSON)},
		{"words", `join lobby`, refused(0, "", notJSON)},
		{"an array", `[{"type":"ping","id":1}]`, refused(0, "", notObject)},
		{"a string", `"ping"`, refused(0, "", notObject)},
		{"a number", `7`, refused(0, "", notObject)},
		{"null", ` null `, refused(0, "", notObject)},
		{"two objects", `{"type":"ping","id":1}{"type":"ping","id":2}`, refused(0, "", trailing)},
		{"two values", `1 2`, refused(0, "", notJSON)},
		{"garbage behind", `{"type":"ping","id":1}x`, refused(0, "", trailing)},
		{"a NUL behind", "{\"type\":\"ping\",\"id\":1}\x00", refused(0, "", trailing)},
		{"cut off in an object", `{"type":"ping","id":1`, refused(0, "", notJSON)},
		{"cut off in a string", `{"type":"ping`, refused(0, "", notJSON)},
		{"cut off in an escape", `{"type":"ping\`, refused(0, "", notJSON)},
		{"cut off in a \\u escape", `{"type":"\u00`, refused(0, "", notJSON)},
		{"cut off behind a name", `{"type"`, refused(0, "", notJSON)},
		{"cut off in a word", `{"a":tru`, refused(0, "", notJSON)},
		{"cut off in a number", `{"a":-`, refused(0, "", notJSON)},
		{"a comma at the end of an object", `{"type":"ping",}`, refused(0, "", notJSON)},
		{"a comma at the end of an array", `{"a":[1,]}`, refused(0, "", notJSON)},
		{"no comma", `{"a":1 "b":2}`, refused(0, "", notJSON)},
		{"no colon", `{"a" 1}`, refused(0, "", notJSON)},
		{"single quotes", `{'type':'ping'}`, refused(0, "", notJSON)},
		{"a name without quotes", `{type:"ping"}`, refused(0, "", notJSON)},
		{"a comment", `{"type":"ping"/*hello*/}`, refused(0, "", notJSON)},
		{"an unknown escape", `{"a":"\x41"}`, refused(0, "", notJSON)},
		{"a bad \\u escape", `{"a":"\u00g0"}`, refused(0, "", notJSON)},
		{"a line break in a string", "{\"a\":\"\n\"}", refused(0, "", notJSON)},
		{"a leading zero", `{"a":01}`, refused(0, "", notJSON)},
		{"a plus", `{"a":+1}`, refused(0, "", notJSON)},
		{"a bare fraction", `{"a":.5}`, refused(0, "", notJSON)},
		{"a number ending in a dot", `{"a":1.}`, refused(0, "", notJSON)},
		{"an exponent without digits", `{"a":1e+}`, refused(0, "", notJSON)},
		{"NaN", `{"a":NaN}`, refused(0, "", notJSON)},
		{"True", `{"a":True}`, refused(0, "", notJSON)},
		{"a byte that is no UTF-8", "{\"type\":\"ping\",\"id\":1,\"a\":\"\xff\"}", refused(0, "", notUTF8)},
		{"half a character", "{\"type\":\"ping\",\"id\":1,\"a\":\"\xe2\x82\"}", refused(0, "", notUTF8)},
		{"an overlong character", "{\"type\":\"ping\",\"id\":1,\"a\":\"\xc0\xaf\"}", refused(0, "", notUTF8)},
		{"a surrogate in UTF-8", "{\"type\":\"ping\",\"id\":1,\"a\":\"\xed\xa0\x80\"}", refused(0, "", notUTF8)},

		// JSON, but more of it than we take: what came before it counts.
		{"data one level too deep", `{"type":"publish","id":7,"room":"lobby","data":` + nested(MaxDepth) + `}`, refused(7, "lobby", deep)},
		{"much too deep, and never closed", strings.Repeat(`[`, 1<<16), refused(0, "", deep)},
		{"much too deep with objects", `{"id":7,"x":` + strings.Repeat(`{"a":`, 1<<14), refused(7, "", deep)},
		{"a field twice", `{"type":"leave","id":7,"room":"lobby","room":"attic"}`, refused(7, "lobby", twice)},
		{"the id twice", `{"type":"ping","id":7,"id":8}`, refused(7, "", twice)},
		{"an unknown field twice", `{"type":"ping","a":1,"a":1,"id":7}`, refused(0, "", twice)},
		{"twice, once spelled with an escape", `{"type":"ping","id":7,"i\u0064":7}`, refused(7, "", twice)},
		{"twice, each spelled with an escape", `{"x":[{"\u0061":1,"\u0061":1}]}`, refused(0, "", twice)},
		{"twice as pairs of surrogates", `{"x":{"😀":1,"\ud83d\ude00":1}}`, refused(0, "", twice)},
		{"half surrogates spell the same", `{"x":{"\ud83d":1,"\ude00":1}}`, refused(0, "", twice)},
		{"twice deep in data", `{"type":"publish","id":7,"room":"lobby","data":[[{"b":{"a":1,"a":2}}]]}`, refused(7, "lobby", twice)},
		{"twice around a nested object", `{"type":"publish","id":7,"room":"lobby","data":{"a":{"a":1},"a":2}}`, refused(7, "lobby", twice)},
		{"twice among many names", `{"type":"publish","id":7,"room":"lobby","data":` + many(1000, `"n3":0`) + `}`, refused(7, "lobby", twice)},
		{"twice, the last of the short list", `{"type":"publish","id":7,"room":"lobby","data":` + many(shortNames-4, `"n0":0`) + `}`, refused(7, "lobby", twice)},
		{"twice, the first of the long list", `{"type":"publish","id":7,"room":"lobby","data":` + many(shortNames-3, `"n0":0`) + `}`, refused(7, "lobby", twice)},
		{"twice, empty names", `{"":1,"":2}`, refused(0, "", twice)},

		// Types.
		{"no type", `{"id":7,"room":"lobby"}`, refused(7, "lobby", "type is missing")},
		{"a type that is no string", `{"type":7,"id":7}`, refused(7, "", "type must be a string")},
		{"a type that is null", `{"type":null,"id":7}`, refused(7, "", "type must be a string")},
		{"a type of the future", `{"type":"whisper","id":7,"room":"lobby"}`, &Error{7, ErrUnknownType, "there is no command of this type", "lobby", 0}},
		{"an empty type", `{"type":"","id":7}`, &Error{7, ErrUnknownType, "there is no command of this type", "", 0}},
		{"a type in capitals", `{"type":"PING","id":7}`, &Error{7, ErrUnknownType, "there is no command of this type", "", 0}},
		{"a server's type", `{"type":"welcome","id":7}`, &Error{7, ErrUnknownType, "there is no command of this type", "", 0}},
		{"an unknown type with a bad id", `{"type":"whisper","id":-7}`, &Error{0, ErrUnknownType, "there is no command of this type", "", 0}},
		{"fields are told by their exact names", `{"Type":"ping","id":7}`, refused(7, "", "type is missing")},

		// Ids: one that can't be read can't be echoed.
		{"id 0", `{"type":"ping","id":0}`, refused(0, "", badID)},
		{"id 2^53", `{"type":"ping","id":9007199254740992}`, refused(0, "", badID)},
		{"an id of 17 digits", `{"type":"ping","id":10000000000000000}`, refused(0, "", badID)},
		{"an id past 64 bits", `{"type":"ping","id":18446744073709551617}`, refused(0, "", badID)},
		{"a negative id", `{"type":"ping","id":-1}`, refused(0, "", badID)},
		{"an id with a fraction", `{"type":"ping","id":1.0}`, refused(0, "", badID)},
		{"an id with an exponent", `{"type":"ping","id":1e3}`, refused(0, "", badID)},
		{"an id in quotes", `{"type":"ping","id":"1"}`, refused(0, "", badID)},
		{"an id that is null", `{"type":"leave","id":null,"room":"lobby"}`, refused(0, "lobby", badID)},

		// Rooms: the error names a room only where it could be one.
		{"no room", `{"type":"leave","id":7}`, refused(7, "", "room is missing")},
		{"a room that is no string", `{"type":"leave","id":7,"room":["lobby"]}`, refused(7, "", "room must be a string")},
		{"an empty room", `{"type":"leave","id":7,"room":""}`, refused(7, "", badRoom)},
		{"a room with a space", `{"type":"leave","id":7,"room":"a b"}`, refused(7, "", badRoom)},
		{"a room of 129 bytes", `{"type":"leave","id":7,"room":"` + strings.Repeat("x", 129) + `"}`, refused(7, "", badRoom)},
		{"a room with a NUL", `{"type":"leave","id":7,"room":"a\u0000b"}`, refused(7, "", badRoom)},
		{"a room that ends in /", `{"type":"leave","id":7,"room":"a/"}`, refused(7, "", badRoom)},

		// What each command needs, and how much of it.
		{"a publish without data", `{"type":"publish","id":7,"room":"lobby"}`, refused(7, "lobby", "data is missing")},
		{"an update without data", `{"type":"update","id":7,"room":"lobby"}`, refused(7, "lobby", "data is missing")},
		{"a signal without data", `{"type":"signal","id":7,"room":"lobby"}`, refused(7, "lobby", "data is missing")},
		{"join data over 4 KiB", `{"type":"join","id":7,"room":"lobby","data":` + text(4<<10+1) + `}`, &Error{7, ErrTooLarge, "join data is larger than 4 KiB", "lobby", 0}},
		{"update data over 4 KiB", `{"type":"update","id":7,"room":"lobby","data":` + text(4<<10+1) + `}`, &Error{7, ErrTooLarge, "update data is larger than 4 KiB", "lobby", 0}},
		{"signal data over 1 KiB", `{"type":"signal","id":7,"room":"lobby","data":` + text(1<<10+1) + `}`, &Error{7, ErrTooLarge, "signal data is larger than 1 KiB", "lobby", 0}},
		{"an empty key", `{"type":"publish","id":7,"room":"lobby","data":1,"key":""}`, refused(7, "lobby", badKey)},
		{"a key of 65 bytes", `{"type":"publish","id":7,"room":"lobby","data":1,"key":"` + strings.Repeat("k", 65) + `"}`, refused(7, "lobby", badKey)},
		{"a key that is a number", `{"type":"publish","id":7,"room":"lobby","data":1,"key":1}`, refused(7, "lobby", badKey)},
		{"observe as a word", `{"type":"join","id":7,"room":"lobby","observe":"true"}`, refused(7, "lobby", badObs)},
		{"observe as a number", `{"type":"join","id":7,"room":"lobby","observe":1}`, refused(7, "lobby", badObs)},
		{"observe as null", `{"type":"join","id":7,"room":"lobby","observe":null}`, refused(7, "lobby", badObs)},
		{"too much history", `{"type":"join","id":7,"room":"lobby","history":101}`, refused(7, "lobby", badHist)},
		{"history that is no number", `{"type":"join","id":7,"room":"lobby","history":true}`, refused(7, "lobby", badHist)},
		{"since that is no object", `{"type":"join","id":7,"room":"lobby","since":41}`, refused(7, "lobby", badSince)},
		{"since null", `{"type":"join","id":7,"room":"lobby","since":null}`, refused(7, "lobby", badSince)},
		{"since without an epoch", `{"type":"join","id":7,"room":"lobby","since":{"offset":41}}`, refused(7, "lobby", badSince)},
		{"since with an empty epoch", `{"type":"join","id":7,"room":"lobby","since":{"epoch":"","offset":41}}`, refused(7, "lobby", badSince)},
		{"since with an epoch of 65 bytes", `{"type":"join","id":7,"room":"lobby","since":{"epoch":"` + strings.Repeat("e", 65) + `","offset":41}}`, refused(7, "lobby", badSince)},
		{"since with an epoch that is a number", `{"type":"join","id":7,"room":"lobby","since":{"epoch":1,"offset":41}}`, refused(7, "lobby", badSince)},
		{"since without an offset", `{"type":"join","id":7,"room":"lobby","since":{"epoch":"e"}}`, refused(7, "lobby", badSince)},
		{"since with a negative offset", `{"type":"join","id":7,"room":"lobby","since":{"epoch":"e","offset":-1}}`, refused(7, "lobby", badSince)},
		{"since in capitals", `{"type":"join","id":7,"room":"lobby","since":{"EPOCH":"e","OFFSET":1}}`, refused(7, "lobby", badSince)},
		{"a page of no members", `{"type":"members","id":7,"room":"lobby","limit":0}`, refused(7, "lobby", "limit must be an integer from 1 to 1000")},
		{"a page of too many members", `{"type":"members","id":7,"room":"lobby","limit":1001}`, refused(7, "lobby", "limit must be an integer from 1 to 1000")},
		{"a cursor that is a number", `{"type":"members","id":7,"room":"lobby","cursor":17}`, refused(7, "lobby", badCursor)},
		{"a cursor of 129 bytes", `{"type":"members","id":7,"room":"lobby","cursor":"` + strings.Repeat("c", 129) + `"}`, refused(7, "lobby", badCursor)},
		{"too many messages", `{"type":"history","id":7,"room":"lobby","limit":101}`, refused(7, "lobby", "limit must be an integer from 1 to 100")},
		{"before the first offset", `{"type":"history","id":7,"room":"lobby","before":0}`, refused(7, "lobby", badBefore)},
		{"before a string", `{"type":"history","id":7,"room":"lobby","before":"41"}`, refused(7, "lobby", badBefore)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c, got := Decode([]byte(tt.frame))
			if c != nil {
				t.Fatalf("Decode(%.200q) = %#v, want an error", tt.frame, c)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("Decode(%.200q) (-want +got):\n%s", tt.frame, diff)
			}
		})
	}
}

func TestDecodeKeepsNothingOfTheFrame(t *testing.T) {
	frame := []byte(`{"type":"publish","id":3,"room":"lobby","data":{"text":"hi"},"key":"a1"}`)
	c, err := Decode(frame)
	require.Nil(t, err)
	clear(frame)
	require.Equal(t, &Publish{request(3), json.RawMessage(`{"text":"hi"}`), "a1", nil}, c)
}

func TestValidData(t *testing.T) {
	for _, tt := range []struct {
		name string
		data string
		want bool
	}{
		{"a word", `null`, true},
		{"white space around", " [1] \n", true},
		{"as deep as it may be", nested(MaxDepth - 1), true},
		{"too deep", nested(MaxDepth), false},
		{"nothing", ``, false},
		{"two values", `1 2`, false},
		{"a name twice", `{"a":{"b":1,"b":2}}`, false},
		{"not UTF-8", "\"\xff\"", false},
		{"not JSON", `{a:1}`, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := ValidData([]byte(tt.data)); got != tt.want {
				t.Errorf("ValidData(%q) = %t, want %t", tt.data, got, tt.want)
			}
		})
	}
}

func TestDecodeMessage(t *testing.T) {
	for _, tt := range []struct {
		name  string
		frame string
		want  Message
	}{
		{"a pong", `{"type":"pong","id":8,"at":3}`, &Pong{8, 3}},
		{"its type not first", `{"at":3,"type":"pong"}`, &Pong{0, 3}},
		{"its type with an escape", `{"type":"p\u006fng","at":3}`, &Pong{0, 3}},
		{"fields of the future", `{"type":"pong","at":3,"load":{"cpu":1}}`, &Pong{0, 3}},
		{"a type of the future", `{"type":"weather","room":"lobby","count":{}}`, nil},
		{"no type", `{"at":3}`, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := DecodeMessage([]byte(tt.frame))
			require.NoError(t, err)
			require.Equal(t, tt.want, got)
		})
	}
	for _, tt := range []struct{ name, frame string }{
		{"nothing", ``},
		{"null", `null`},
		{"an array", `[]`},
		{"cut off", `{"type":"pong","at":`},
		{"cut off in its type", `{"type":"pong`},
		{"cut off in a type of the future", `{"type":"weather",`},
		{"a field of another type", `{"type":"pong","at":"noon"}`},
		{"a type that is a number", `{"type":7}`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m, err := DecodeMessage([]byte(tt.frame))
			require.Error(t, err)
			require.Nil(t, m)
		})
	}
}

// text is a JSON string of n bytes, quotes included.
func text(n int) string { return `"` + strings.Repeat("x", n-2) + `"` }

// nested is n arrays and objects, one in the other.
func nested(n int) string {
	return strings.Repeat(`{"a":[`, n/2) + strings.Repeat("[", n%2) + strings.Repeat("]", n%2) + strings.Repeat(`]}`, n/2)
}

// many is an object with members n0, n1, … of that number, and one more.
func many(members int, last string) string {
	b := []byte{'{'}
	for i := range members {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, `"n`...)
		b = strconv.AppendInt(b, int64(i), 10)
		b = append(b, `":0`...)
	}
	if last != "" {
		b = append(append(b, ','), last...)
	}
	return string(append(b, '}'))
}
