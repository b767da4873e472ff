package stomp

import (
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

var testLimits = Limits{LineBytes: 64, Headers: 4, HeaderBytes: 200, BodyBytes: 32}

// parse reads all frames of text, given in pieces of n bytes.
func parse(v Version, l Limits, text string, n int) (fs []*Frame, err error) {
	p := Parser{Limits: l, Version: v}
	for b := []byte(text); len(b) > 0; {
		piece := b[:min(n, len(b))]
		b = b[len(piece):]
		for len(piece) > 0 {
			var f *Frame
			if f, piece, err = p.Next(piece); err != nil {
				return fs, err
			}
			if f != nil {
				fs = append(fs, f)
			}
		}
	}
	return fs, nil
}

func TestParsing(t *testing.T) {
	send := func(body string, headers ...string) *Frame {
		f := &Frame{Command: "SEND"}
		for i := 0; i < len(headers); i += 2 {
			f.Headers = append(f.Headers, Header{headers[i], headers[i+1]})
		}
		if body != "" {
			f.Body = []byte(body)
		}
		return f
	}
	for _, c := range []struct {
		name    string
		version Version
		text    string
		want    []*Frame
	}{
		{"§STOMP Frames: command, headers, blank line, body, NUL", V12, "SEND\na:1\nb:2\n\nhi\x00", []*Frame{send("hi", "a", "1", "b", "2")}},
		{"§STOMP Frames: lines end in LF or CR LF", V12, "SEND\r\na:1\r\n\r\nhi\r\n\x00", []*Frame{send("hi\r\n", "a", "1")}},
		{"1.1 §Specification: a CR is no part of a line's end", V11, "SEND\na:1\r\n\nhi\x00", []*Frame{send("hi", "a", "1\r")}},
		{"§STOMP Frames: EOLs may follow a frame", V12, "SEND\n\n\x00\n\r\n\nSEND\n\n\x00\n", []*Frame{send(""), send("")}},
		{"§Heart-beating: an EOL is no frame", V12, "\n", nil},
		{"§Value Encoding: escapes of 1.2", V12, `SEND` + "\n" + `k\c:a\nb\rc\\d\ce` + "\n\n\x00", []*Frame{send("", "k:", "a\nb\rc\\d:e")}},
		{"1.1 §Value Encoding: escapes of 1.1", V11, "SEND\n" + `k:a\nb\\c\cd` + "\n\n\x00", []*Frame{send("", "k", "a\nb\\c:d")}},
		{"1.0: there are no escapes", V10, "SEND\n" + `k: a\nb\t` + " \n\n\x00", []*Frame{send("", "k", `a\nb\t`)}},
		{"§Value Encoding: CONNECT is not escaped", V12, "CONNECT\n" + `k:a\nb` + "\n\n\x00", []*Frame{{"CONNECT", []Header{{"k", `a\nb`}}, nil}}},
		{"§Value Encoding: values are not trimmed", V12, "SEND\nk: a \n\n\x00", []*Frame{send("", "k", " a ")}},
		{"a colon in a value is taken", V12, "SEND\nk:a:b\n\n\x00", []*Frame{send("", "k", "a:b")}},
		{"an empty value", V12, "SEND\nk:\n\n\x00", []*Frame{send("", "k", "")}},
		{"§Body: NUL ends it", V12, "SEND\n\na\x00\nSEND\n\nb\x00", []*Frame{send("a"), send("b")}},
		{"§Header content-length: NUL may be in it", V12, "SEND\ncontent-length:3\n\na\x00b\x00", []*Frame{send("a\x00b", "content-length", "3")}},
		{"§Header content-length: of nothing", V12, "SEND\ncontent-length:0\n\n\x00", []*Frame{send("", "content-length", "0")}},
		{"§Repeated Header Entries: the first counts", V12, "SEND\nk:1\nk:2\n\n\x00", []*Frame{send("", "k", "1")}},
		{"§Size Limits: as long as it may be", V12, "SEND\nk:" + strings.Repeat("x", 62) + "\n\n" + strings.Repeat("b", 32) + "\x00",
			[]*Frame{send(strings.Repeat("b", 32), "k", strings.Repeat("x", 62))}},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, n := range []int{1, 2, 3, 7, 1000} {
				got, err := parse(c.version, testLimits, c.text, n)
				require.NoError(t, err)
				require.Equal(t, c.want, got, "in pieces of %d", n)
			}
		})
	}
}

func TestParsingRefuses(t *testing.T) {
	for _, c := range []struct {
		name    string
		version Version
		text    string
		want    error
	}{
		{"§Value Encoding: an unknown escape", V12, "SEND\nk:\\t\n\n\x00", errEscape},
		{"§Value Encoding: half an escape", V12, "SEND\nk:\\\n\n\x00", errEscape},
		{`1.1 §Value Encoding: \r is an escape of 1.2`, V11, "SEND\nk:\\r\n\n\x00", errEscape},
		{"§Augmented BNF: a header without a colon", V12, "SEND\nk\n\n\x00", errColon},
		{"§Augmented BNF: a header without a name", V12, "SEND\n:v\n\n\x00", errName},
		{"§Augmented BNF: a command of small letters", V12, "send\n\n\x00", errCommand},
		{"a frame that ends in its headers", V12, "SEND\nk:v\x00\n\n", errNUL},
		{"a frame that ends in its command", V12, "SEND\x00", errNUL},
		{"a JSON frame", V12, `{"type":"join"}` + "\n", errCommand},
		{"a header that is not UTF-8", V12, "SEND\nk:\xff\n\n\x00", errUTF8},
		{"§Size Limits: a long line", V12, "SEND\nk:" + strings.Repeat("x", 63), errLine},
		{"§Size Limits: a long line of a whole frame", V12, "SEND\nk:" + strings.Repeat("x", 63) + "\n\n\x00", errLine},
		{"§Size Limits: a long command", V12, strings.Repeat("X", 65), errLine},
		{"§Size Limits: many headers", V12, "SEND\na:\nb:\nc:\nd:\ne:\n", errHeaders},
		{"§Size Limits: repeats count as headers in length", V12, "SEND\n" + strings.Repeat("k:"+strings.Repeat("x", 40)+"\n", 5), errHeaderBytes},
		{"§Size Limits: long headers of a whole frame", V12, "SEND\n" + strings.Repeat("k:"+strings.Repeat("x", 60)+"\n", 5) + "\n\x00", errHeaderBytes},
		{"§Size Limits: a long body", V12, "SEND\n\n" + strings.Repeat("b", 33), errBody},
		{"§Size Limits: a body that will be long", V12, "SEND\ncontent-length:1000000000\n\n", errBody},
		{"§Size Limits: longer than numbers go", V12, "SEND\ncontent-length:99999999999999999999999\n\n", errBody},
		{"§Header content-length: no number", V12, "SEND\ncontent-length:-1\n\n", errLength},
		{"§Header content-length: nothing", V12, "SEND\ncontent-length:\n\n", errLength},
		{"§Header content-length: shorter than the body", V12, "SEND\ncontent-length:1\n\nab\x00", errNoEnd},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, n := range []int{1, 2, 3, 7, 1000} {
				_, err := parse(c.version, testLimits, c.text, n)
				require.ErrorIs(t, err, c.want, "in pieces of %d", n)
			}
		})
	}
}

// A frame of a few bytes that announces a gigabyte takes none of it.
func TestParserTakesMemoryForWhatHasComeOnly(t *testing.T) {
	l := Limits{LineBytes: 100, Headers: 4, HeaderBytes: 200, BodyBytes: 1 << 30}
	p := Parser{Limits: l, Version: V12}
	_, _, err := p.Next([]byte("SEND\ncontent-length:1000000000\n\nx"))
	require.NoError(t, err)
	require.LessOrEqual(t, cap(p.body), 64)
}

// frames draws frames that a version can tell.
func frames(v Version) *rapid.Generator[*Frame] {
	text := rapid.Map(rapid.StringOfN(rapid.RuneFrom([]rune("ab:\\\n\r\tü✨ ")), 0, 10, 30), func(s string) string {
		switch v {
		case V10:
			s = strings.TrimSpace(strings.NewReplacer("\n", "", "\r", "").Replace(s))
		case V11:
			s = strings.TrimSuffix(s, "\r")
		}
		return s
	})
	return rapid.Custom(func(t *rapid.T) *Frame {
		f := &Frame{Command: rapid.SampledFrom([]string{"SEND", "MESSAGE", "ERROR"}).Draw(t, "command")}
		for i := range rapid.IntRange(0, 4).Draw(t, "headers") {
			name := strconv.Itoa(i) + rapid.SampledFrom([]string{"k", "ü", "-x"}).Draw(t, "name")
			f.Headers = append(f.Headers, Header{name, text.Draw(t, "value")})
		}
		if body := rapid.SliceOfN(rapid.Byte(), 0, 40).Draw(t, "body"); len(body) > 0 {
			f.Body = body
		}
		return f
	})
}

func TestWhatIsWrittenIsRead(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		v := rapid.SampledFrom([]Version{V10, V11, V12}).Draw(t, "version")
		want := rapid.SliceOfN(frames(v), 1, 4).Draw(t, "frames")
		var b []byte
		for _, f := range want {
			b = AppendFrame(b, v, f)
			b = append(b, strings.Repeat("\n", rapid.IntRange(0, 2).Draw(t, "eols"))...)
		}
		got, err := parse(v, DefaultLimits(1000), string(b), rapid.IntRange(1, len(b)).Draw(t, "pieces"))
		if err != nil {
			t.Fatalf("%v in %q", err, b)
		}
		for _, f := range got { // the body's length is no header of the test's
			for i, h := range f.Headers {
				if h.Name == "content-length" {
					f.Headers = append(f.Headers[:i:i], f.Headers[i+1:]...)
					break
				}
			}
			if len(f.Headers) == 0 {
				f.Headers = nil
			}
		}
		require.Equal(t, want, got)
	})
}

func FuzzParser(f *testing.F) {
	for _, s := range []string{"CONNECT\naccept-version:1.2\n\n\x00", "SEND\nk:\\n\ncontent-length:2\n\na\x00\x00\n\n", "SEND\r\n\r\nx\x00", "\n"} {
		f.Add(uint8(3), uint8(3), []byte(s))
	}
	f.Fuzz(func(t *testing.T, version, pieces uint8, text []byte) {
		v, n := Version(version%4), int(pieces)+1
		whole, wholeErr := parse(v, testLimits, string(text), len(text)+1)
		parts, err := parse(v, testLimits, string(text), n)
		if (err == nil) != (wholeErr == nil) || len(parts) != len(whole) {
			t.Fatalf("whole: %d frames, %v; in pieces: %d frames, %v", len(whole), wholeErr, len(parts), err)
		}
		for _, f := range whole {
			if len(f.Headers) > testLimits.Headers || len(f.Body) > testLimits.BodyBytes {
				t.Fatalf("over the limits: %+v", f)
			}
			if v == 0 {
				continue
			}
			again, err := parse(v, DefaultLimits(1000), string(AppendFrame(nil, v, f)), 1000)
			if err != nil || len(again) != 1 || again[0].Command != f.Command || string(again[0].Body) != string(f.Body) {
				t.Fatalf("%+v is written as %q and read as %+v, %v", f, AppendFrame(nil, v, f), again, err)
			}
		}
	})
}
