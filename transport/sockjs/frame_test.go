package sockjs

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"rollcall/transport"
)

func quoted(text string) string { return string(appendString(nil, []byte(text), &inText)) }

func TestEscape(t *testing.T) {
	for _, x := range []struct{ text, want string }{
		{"", `""`},
		{"plain", `"plain"`},
		{`a "b" \c`, `"a \"b\" \\c"`},
		{"\x00\x01\b\f\n\r\t\x1f\x7f", `"\u0000\u0001\b\f\n\r\t\u001f` + "\x7f" + `"`},
		{"\u200b\u200c\u200f\u2010", "\"\u200b\\u200c\\u200f\u2010\""},
		{"\u2027\u2028\u202f\u2030", "\"\u2027\\u2028\\u202f\u2030\""},
		{"\u205f\u2060\u206f\u2070", "\"\u205f\\u2060\\u206f\u2070\""},
		{"\uffef\ufff0\ufffd\uffff", "\"\uffef\\ufff0\\ufffd\\uffff\""},
		{"é😀</script>", `"é😀</script>"`},
	} {
		require.Equal(t, x.want, quoted(x.text))
	}
	require.Equal(t, `"\u003c/script>"`, string(appendString(nil, []byte("</script>"), &inScript)))
	require.Equal(t, `c[3000,"Go away!"]`, string(closeFrame(3000, "Go away!")))
}

func TestAppendTextKeepsWhatIsThere(t *testing.T) {
	b := AppendText([]byte("before"), func(b []byte) []byte { return append(b, `"\`...) })
	require.Equal(t, "before"+"\x81\x09"+`a["\"\\"]`, string(b))
}

func TestAppendTextDoesNotAllocate(t *testing.T) {
	b := make([]byte, 0, 4096)
	text := []byte(`{"type":"message","room":"lobby","data":{"text":"hi \u0000 ` + "\u2028" + `"}}`)
	encode := func(b []byte) []byte { return append(b, text...) }
	require.Zero(t, testing.AllocsPerRun(100, func() { b = AppendText(b[:0], encode) }))
}

func BenchmarkAppendText(b *testing.B) {
	text := []byte(`{"type":"message","room":"lobby","offset":42,"at":1790000000000,"message":"m_1","session":"s_1b2c3d","user":"ann","name":"Ann","data":{"text":"anybody here?"}}`)
	encode := func(b []byte) []byte { return append(b, text...) }
	var buf []byte
	b.ReportAllocs()
	for b.Loop() {
		buf = AppendText(buf[:0], encode)
	}
}

// What is written in frames is read back, alone and among others.
func TestMessagesComeBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		texts := rapid.SliceOf(rapid.String()).Draw(t, "texts")
		var frames []byte
		for _, text := range texts {
			frames = AppendText(frames, func(b []byte) []byte { return append(b, text...) })
		}
		var array []string
		for p := range transport.Payloads(frames) {
			ms, err := readMessages(p[1:], false)
			require.NoError(t, err)
			for m := range ms.all() {
				array = append(array, string(m))
			}
		}
		require.True(t, slices.Equal(texts, array), "%q, want %q", array, texts)
	})
}

func FuzzReadMessages(f *testing.F) {
	for _, seed := range []string{
		``, ` `, `[]`, ` [ ] `, `["a"]`, `["a", "b"]`, `["a",]`, `[,]`, `["a"`, `["a`, `"a"`, `[1]`, `[null]`, `["\ud83d\ude00"]`, `["\ud83d"]`,
		`["\ude00\ud83d"]`, `["\ud83d\u0041"]`, `["\u00e9\"\\\/\b\f\n\r\t"]`, `["\x"]`, `["\u12"]`, "[\"\x00\"]", "[\"\xff\"]", `[["a"]]`, `["a"]]`, `{}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		ms, err := readMessages(b, false)
		var any []any
		good := utf8.Valid(b) && json.Unmarshal(b, &any) == nil && any != nil
		for _, v := range any {
			_, text := v.(string)
			good = good && text
		}
		if good != (err == nil) {
			t.Fatalf("readMessages(%q) = %v; encoding/json says %v", b, err, good)
		}
		if err != nil {
			return
		}
		i := 0
		for m := range ms.all() {
			if want := any[i].(string); string(m) != want {
				t.Fatalf("message %d of %q is %q, want %q", i, b, m, want)
			}
			if !utf8.Valid(m) {
				t.Fatalf("message %d of %q is not UTF-8", i, b)
			}
			i++
		}
		if i != len(any) {
			t.Fatalf("%d messages in %q, want %d", i, b, len(any))
		}
	})
}

func FuzzFind(f *testing.F) {
	for _, seed := range []string{"", "/", "//", "/info", "/a/b/xhr", "/iframe-0.1.2.html", "/a/b/xhr/", "/a./b/xhr"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, path string) {
		p := find(path)
		if p.name == "" || p.name == "greeting" {
			return
		}
		if (transports[p.name] == nil) == (places[p.name] == nil) || (p.session == "") == (places[p.name] == nil) {
			t.Fatalf("find(%q) = %+v", path, p)
		}
		if p.session != "" && !strings.HasSuffix(strings.TrimSuffix(path, "/"), "/"+p.session+"/"+p.name) {
			t.Fatalf("find(%q) = %+v", path, p)
		}
	})
}
