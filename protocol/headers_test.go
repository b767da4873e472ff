package protocol

import (
	"encoding/json"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func TestHeadersOfAPublish(t *testing.T) {
	many := func(n int) string {
		var h json.RawMessage
		for i := range n {
			h = AppendHeader(h, "h"+strconv.Itoa(i), "v")
		}
		return string(h)
	}
	for _, c := range []struct {
		name, headers string
		code          ErrorCode // empty: taken
	}{
		{"none", `{}`, ""},
		{"some", `{"content-type":"text/plain", "lang" : "\u00e9"}`, ""},
		{"as many as there may be", many(MaxHeaders), ""},
		{"one more", many(MaxHeaders + 1), ErrBadRequest},
		{"a value that is no string", `{"n":1}`, ErrBadRequest},
		{"a list", `["a"]`, ErrBadRequest},
		{"null", `null`, ErrBadRequest},
		{"a name with a colon", `{"a:b":""}`, ErrBadRequest},
		{"no name", `{"":"x"}`, ErrBadRequest},
		{"a long name", `{"` + strings.Repeat("n", MaxHeaderNameBytes+1) + `":"x"}`, ErrBadRequest},
		{"a line break", `{"a":"x\r\n\ty"}`, ""},
		{"NUL", `{"a":"x\u0000y"}`, ErrBadRequest},
		{"as long as they may be", `{"a":"` + strings.Repeat("x", MaxHeadersBytes-8) + `"}`, ""},
		{"longer", `{"a":"` + strings.Repeat("x", MaxHeadersBytes-7) + `"}`, ErrTooLarge},
		{"a name twice", `{"a":"1","a":"2"}`, ErrBadRequest},
	} {
		t.Run(c.name, func(t *testing.T) {
			cmd, err := Decode([]byte(`{"type":"publish","id":4,"room":"r","data":1,"headers":` + c.headers + `}`))
			if c.code != "" {
				require.NotNil(t, err)
				require.Equal(t, c.code, err.Code)
				require.EqualValues(t, 4, err.ID)
				return
			}
			require.Nil(t, err)
			require.Equal(t, c.headers, string(cmd.(*Publish).Headers))
		})
	}
}

func TestHeadersAreReadAsTheyWereAppended(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		type header struct{ name, value string }
		var want, got []header
		var h json.RawMessage
		for i := range rapid.IntRange(0, 5).Draw(t, "n") {
			w := header{"h" + strconv.Itoa(i), rapid.String().Draw(t, "value")}
			want = append(want, w)
			h = AppendHeader(h, w.name, w.value)
		}
		EachHeader(h, func(name, value []byte) bool {
			got = append(got, header{string(name), string(value)})
			return true
		})
		require.Equal(t, want, got)
	})
}
