package transport

import (
	"bytes"
	"fmt"
	"testing"
	"unicode/utf8"

	"github.com/gobwas/ws"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"rollcall/internal/conformance/raw"
)

// testLimits are small enough for random frames to meet them.
var testLimits = limits{message: 300, fragments: 5}

// failer is a test or a step of one.
type failer interface{ Fatalf(string, ...any) }

// outcome is what an assembler made of some bytes: its events in words, and the
// breach that ended it.
func outcome(t failer, b []byte, cut func(left int) int) (events []string, bad Breach) {
	var a assembler
	for len(b) > 0 {
		n := cut(len(b))
		piece := bytes.Clone(b[:n]) // unmasked in place
		b = b[n:]
		for len(piece) > 0 {
			ev, used, bad := a.next(piece, testLimits)
			if bad != noBreach {
				return events, bad
			}
			if used <= 0 || used > len(piece) {
				t.Fatalf("used %d of %d bytes", used, len(piece))
			}
			piece = piece[used:]
			if ev.op != 0 {
				if ev.op == ws.OpText && !utf8.Valid(ev.payload) {
					t.Fatalf("text event is not UTF-8: %q", ev.payload)
				}
				events = append(events, fmt.Sprintf("%x %q", byte(ev.op), ev.payload))
			}
			if a.part != nil {
				if len(a.part.msg) > int(testLimits.message) || cap(a.part.msg) > 2*int(testLimits.message) {
					t.Fatalf("holds %d bytes with room for %d, limit %d", len(a.part.msg), cap(a.part.msg), testLimits.message)
				}
				if a.part.op == 0 && !a.part.inFrame && a.part.nhead == 0 {
					t.Fatalf("keeps memory between messages")
				}
			}
		}
	}
	return events, noBreach
}

func atOnce(left int) int { return left }
func byByte(int) int      { return 1 }

func FuzzAssembler(f *testing.F) {
	for _, seed := range [][]byte{
		raw.Bytes(raw.Text("hello"), raw.Binary("\xff"), raw.Ping("p"), raw.Close(1000, "bye")),
		raw.Bytes(raw.Part(raw.Text("κό")), raw.Ping("between"), raw.Part(raw.Continue("σ")), raw.Continue("με")),
		raw.Bytes(raw.Part(raw.Text("\xf4")), raw.Continue("\x90")),
		raw.Bytes(raw.Text("unmasked"), raw.Frame{Op: ws.OpText, Payload: "x", Unmasked: true}),
		raw.Bytes("\x81\xfe\x00\x05abcd"), raw.Bytes("\x82\xff\x7f\xff\xff\xff\xff\xff\xff\xffabcd"),
		raw.Bytes(raw.Binary(string(make([]byte, 299))), raw.Binary(string(make([]byte, 301)))),
	} {
		f.Add(seed, byte(3))
	}
	f.Fuzz(func(t *testing.T, b []byte, step byte) {
		events, bad := outcome(t, b, atOnce)
		events1, bad1 := outcome(t, b, byByte)
		eventsN, badN := outcome(t, b, func(left int) int { return min(left, int(step)+1) })
		require.Equal(t, events, events1, "cut into bytes")
		require.Equal(t, bad, bad1, "cut into bytes")
		require.Equal(t, events, eventsN, "cut into pieces of %d", step+1)
		require.Equal(t, bad, badN, "cut into pieces of %d", step+1)
	})
}

// Frames that a well-behaved client may send become its messages again, and an
// error at the end is found behind them, however the bytes are cut.
func TestAssemblerGivesBackWhatWasSent(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var b []byte
		var want []string
		control := func() {
			op := rapid.SampledFrom([]ws.OpCode{ws.OpPing, ws.OpPong, ws.OpClose}).Draw(t, "control")
			p := rapid.SliceOfN(rapid.Byte(), 0, 125).Draw(t, "control payload")
			b = raw.Frame{Op: op, Payload: string(p)}.Append(b)
			want = append(want, fmt.Sprintf("%x %q", byte(op), p))
		}
		for range rapid.IntRange(0, 6).Draw(t, "messages") {
			op := ws.OpText
			payload := rapid.StringN(0, -1, 200).Draw(t, "text")
			if rapid.Bool().Draw(t, "binary") {
				op, payload = ws.OpBinary, string(rapid.SliceOfN(rapid.Byte(), 0, 300).Draw(t, "bytes"))
			}
			left, pieces := payload, rapid.IntRange(1, testLimits.fragments).Draw(t, "pieces")
			for i := range pieces {
				if rapid.Bool().Draw(t, "control before") {
					control()
				}
				n := rapid.IntRange(0, len(left)).Draw(t, "cut")
				f := raw.Frame{Op: ws.OpContinuation, Payload: left[:n], More: true}
				if i == pieces-1 {
					f.Payload, f.More = left, false
				}
				if i == 0 {
					f.Op = op
				}
				b = f.Append(b)
				left = left[n:]
			}
			want = append(want, fmt.Sprintf("%x %q", byte(op), payload))
		}
		wrong := rapid.SampledFrom([]struct {
			bytes []byte
			bad   Breach
		}{
			{nil, noBreach},
			{raw.Bytes(raw.Frame{Op: 3}), BreachReserved},
			{raw.Bytes(raw.Frame{Op: ws.OpText, Rsv: 4}), BreachReserved},
			{raw.Bytes(raw.Frame{Op: ws.OpText, Unmasked: true}), BreachUnmasked},
			{raw.Bytes(raw.Continue("")), BreachFragment},
			{raw.Bytes(raw.Part(raw.Ping(""))), BreachControl},
			{raw.Bytes(raw.Text("\xff")), BreachUTF8},
			{raw.Bytes(raw.Part(raw.Text("\xf0\x9f")), raw.Continue("")), BreachUTF8},
			{raw.Bytes(raw.Binary(string(make([]byte, 301)))), BreachTooBig},
			{raw.Bytes("\x82\xfe\x00\x07"), BreachLength},
			{raw.Bytes(raw.Part(raw.Text("")), bytes.Repeat(raw.Bytes(raw.Part(raw.Continue(""))), 5)), BreachFragments},
		}).Draw(t, "wrong")
		b = append(b, wrong.bytes...)

		check := func(how string, cut func(int) int) {
			events, bad := outcome(t, b, cut)
			require.Equal(t, wrong.bad, bad, how)
			require.Equal(t, want, events, how)
		}
		check("at once", atOnce)
		check("byte by byte", byByte)
		check("anyhow", func(left int) int { return rapid.IntRange(1, left).Draw(t, "read") })
	})
}

// A length that a peer only promises costs nothing.
func TestAssemblerDoesNotTrustLengths(t *testing.T) {
	var a assembler
	lim := limits{message: 1 << 30}
	b := raw.Bytes("\x82\xff\x00\x00\x00\x00\x3f\xff\xff\xff\x00\x00\x00\x00" + "ten bytes!")
	_, used, bad := a.next(b, lim)
	require.Equal(t, noBreach, bad)
	require.Equal(t, len(b), used)
	require.LessOrEqual(t, cap(a.part.msg), 64)
}

func TestWholeFramesAllocateNothing(t *testing.T) {
	frame := raw.Bytes(raw.Text("a message of some length, as chat has them"), raw.Ping("ping"))
	b := make([]byte, len(frame))
	var a assembler
	require.Zero(t, testing.AllocsPerRun(100, func() {
		copy(b, frame)
		for rest := b; len(rest) > 0; {
			_, n, bad := a.next(rest, limits{message: 1 << 16})
			if bad != noBreach {
				t.Fatal(bad)
			}
			rest = rest[n:]
		}
	}))
}

// validStart agrees with the standard library about every start of every text.
func TestValidStart(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b := rapid.OneOf(
			rapid.Map(rapid.String(), func(s string) []byte { return []byte(s) }),
			rapid.SliceOfN(rapid.SampledFrom([]byte{'a', 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc2, 0xe0, 0xed, 0xef, 0xf0, 0xf4, 0xff}), 0, 8),
		).Draw(t, "bytes")
		for end := range len(b) + 1 {
			n, ok := validStart(b[:end])
			want := canBecomeValid(b[:end])
			require.Equal(t, want, ok, "%q", b[:end])
			if ok {
				require.True(t, utf8.Valid(b[:n]))
				require.Less(t, end-n, utf8.UTFMax)
				require.Equal(t, utf8.Valid(b[:end]), n == end)
			}
		}
	})
}

// canBecomeValid tries every way to complete the last code point.
func canBecomeValid(b []byte) bool {
	if utf8.Valid(b) {
		return true
	}
	for _, more := range []string{"\x80", "\x90", "\xa0", "\x80\x80", "\x90\x80", "\xa0\x80", "\x80\x80\x80", "\x90\x80\x80"} {
		if utf8.Valid(append(bytes.Clone(b), more...)) {
			return true
		}
	}
	return false
}
