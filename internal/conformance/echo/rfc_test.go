package main

import (
	"strings"
	"testing"

	"github.com/gobwas/ws"

	"rollcall/internal/conformance/raw"
)

// bye ends a story that has no error in it.
var bye = raw.Close(1000, "")

// says is what the echo answers before it agrees to bye.
func says(frames ...string) []string { return append(frames, closed(1000)...) }

// RFC 6455 §5.2, base framing: every form of the length, both data opcodes.
func TestFraming(t *testing.T) {
	stories := []exchange{
		{"two messages are two messages", raw.Bytes(raw.Text("a"), raw.Text("b"), bye), says("text a", "text b")},
		{"64-bit length that is too small", raw.Bytes("\x81\xff\x00\x00\x00\x00\x00\x00\x00\x05abcd"), closed(1002)},
		{"16-bit length that is too small", raw.Bytes("\x81\xfe\x00\x05abcd"), closed(1002)},
		{"64-bit length with its highest bit set", raw.Bytes("\x82\xff\x80\x00\x00\x00\x00\x00\x00\x00abcd"), closed(1002)},
		{"message, then error: the answer comes first", raw.Bytes(raw.Text("a"), raw.Frame{Op: 3}), append([]string{"text a"}, closed(1002)...)},
		{"a flood behind an error does not drown the close frame", raw.Bytes(raw.Frame{Op: 3}, strings.Repeat("x", 8<<20)), closed(1002)},
		{"a flood behind a close does not either", raw.Bytes(bye, strings.Repeat("x", 8<<20)), says()},
		{"error, then message: no answer", raw.Bytes(raw.Frame{Op: 3}, raw.Text("a")), closed(1002)},
	}
	for _, n := range []int{0, 1, 7, 125, 126, 127, 128, 65535, 65536, 65537, 200_000} {
		body := strings.Repeat("*", n)
		stories = append(stories,
			exchange{"text of " + strings.TrimSpace(itoa(n)), raw.Bytes(raw.Text(body), bye), says(strings.TrimSuffix("text "+body, " "))},
			exchange{"binary of " + itoa(n), raw.Bytes(raw.Binary(strings.Repeat("\xfe", n)), bye), says(strings.TrimSuffix("binary "+strings.Repeat("\xfe", n), " "))})
	}
	play(t, stories)
}

// RFC 6455 §5.1, §5.3: a client masks, or is sent away.
func TestMasking(t *testing.T) {
	play(t, []exchange{
		{"unmasked text", raw.Bytes(raw.Frame{Op: ws.OpText, Payload: "a", Unmasked: true}), closed(1002)},
		{"unmasked empty binary", raw.Bytes(raw.Frame{Op: ws.OpBinary, Unmasked: true}), closed(1002)},
		{"unmasked ping", raw.Bytes(raw.Frame{Op: ws.OpPing, Unmasked: true}), closed(1002)},
		{"unmasked close", raw.Bytes(raw.Frame{Op: ws.OpClose, Payload: "\x03\xe8", Unmasked: true}), closed(1002)},
		{"a mask of zeros is a mask", raw.Bytes("\x81\x82\x00\x00\x00\x00hi", bye), says("text hi")},
		{"the mask goes on across continuation of reads", raw.Bytes(raw.Text("0123456789abcdef0123456789abcdef!"), bye), says("text 0123456789abcdef0123456789abcdef!")},
	})
}

// RFC 6455 §5.2: what is reserved may not be used.
func TestReserved(t *testing.T) {
	var stories []exchange
	for _, op := range []ws.OpCode{3, 4, 5, 6, 7, 11, 12, 13, 14, 15} {
		stories = append(stories,
			exchange{"opcode " + itoa(int(op)), raw.Bytes(raw.Frame{Op: op}), closed(1002)},
			exchange{"opcode with payload " + itoa(int(op)), raw.Bytes(raw.Text("a"), raw.Frame{Op: op, Payload: "b"}), append([]string{"text a"}, closed(1002)...)})
	}
	for rsv := byte(1); rsv < 8; rsv++ {
		for _, op := range []ws.OpCode{ws.OpText, ws.OpBinary, ws.OpPing, ws.OpClose} {
			stories = append(stories, exchange{"bits " + itoa(int(rsv)) + " on opcode " + itoa(int(op)),
				raw.Bytes(raw.Frame{Op: op, Rsv: rsv, Payload: "ab"}), closed(1002)})
		}
	}
	stories = append(stories, exchange{"bit inside a message", raw.Bytes(raw.Part(raw.Text("a")), raw.Frame{Op: ws.OpContinuation, Rsv: 4}), closed(1002)})
	play(t, stories)
}

// RFC 6455 §5.4: messages in pieces.
func TestFragmentation(t *testing.T) {
	empty := raw.Part(raw.Continue(""))
	play(t, []exchange{
		{"two", raw.Bytes(raw.Part(raw.Text("frag")), raw.Continue("ment"), bye), says("text fragment")},
		{"binary", raw.Bytes(raw.Part(raw.Binary("\x00\x01")), raw.Continue("\xff"), bye), says("binary \x00\x01\xff")},
		{"many", raw.Bytes(raw.Part(raw.Text("a")), raw.Part(raw.Continue("b")), raw.Part(raw.Continue("c")), raw.Continue("d"), bye), says("text abcd")},
		{"all empty", raw.Bytes(raw.Part(raw.Text("")), empty, empty, raw.Continue(""), bye), says("text")},
		{"empty but for the middle", raw.Bytes(raw.Part(raw.Text("")), raw.Part(raw.Continue("mid")), raw.Continue(""), bye), says("text mid")},
		{"ping in between is answered first", raw.Bytes(raw.Part(raw.Text("frag")), raw.Ping("now"), raw.Continue("ment"), bye), says("pong now", "text fragment")},
		{"pings between every two", raw.Bytes(raw.Part(raw.Text("1")), raw.Ping("a"), raw.Part(raw.Continue("2")), raw.Ping("b"), raw.Pong("unasked"), raw.Continue("3"), bye), says("pong a", "pong b", "text 123")},
		{"two messages in pieces", raw.Bytes(raw.Part(raw.Text("a")), raw.Continue("b"), raw.Part(raw.Binary("c")), raw.Continue("d"), bye), says("text ab", "binary cd")},
		{"close in between ends it", raw.Bytes(raw.Part(raw.Text("never finished")), bye), says()},
		{"continuation of nothing", raw.Bytes(raw.Continue("a")), closed(1002)},
		{"continuation of nothing, not final", raw.Bytes(raw.Part(raw.Continue("a")), raw.Text("b")), closed(1002)},
		{"continuation after the end", raw.Bytes(raw.Part(raw.Text("a")), raw.Continue("b"), raw.Continue("c")), append([]string{"text ab"}, closed(1002)...)},
		{"a message inside a message", raw.Bytes(raw.Part(raw.Text("a")), raw.Text("b")), closed(1002)},
		{"another kind inside a message", raw.Bytes(raw.Part(raw.Text("a")), raw.Part(raw.Binary("b"))), closed(1002)},
		{"fragments of many sizes", raw.Bytes(raw.Part(raw.Text(strings.Repeat("x", 100))), raw.Part(raw.Continue(strings.Repeat("y", 300))), raw.Continue(strings.Repeat("z", 70_000)), bye),
			says("text " + strings.Repeat("x", 100) + strings.Repeat("y", 300) + strings.Repeat("z", 70_000))},
	})
}

// RFC 6455 §5.5: ping, pong, and what control frames may not be.
func TestControlFrames(t *testing.T) {
	ten, pongs := []byte{}, []string{}
	for i := range 10 {
		ten = raw.Ping("payload-" + itoa(i)).Append(ten)
		pongs = append(pongs, "pong payload-"+itoa(i))
	}
	long := strings.Repeat("\xfe", 125)
	play(t, []exchange{
		{"ping", raw.Bytes(raw.Ping(""), bye), says("pong")},
		{"ping with text", raw.Bytes(raw.Ping("hello"), bye), says("pong hello")},
		{"ping with bytes that are not text", raw.Bytes(raw.Ping("\x00\xff\xfe"), bye), says("pong \x00\xff\xfe")},
		{"ping of 125 bytes", raw.Bytes(raw.Ping(long), bye), says("pong " + long)},
		{"ping of 126 bytes", raw.Bytes(raw.Ping(long + "x")), closed(1002)},
		{"pong of 126 bytes", raw.Bytes(raw.Pong(long + "x")), closed(1002)},
		{"close of 126 bytes", raw.Bytes(raw.Close(1000, strings.Repeat("x", 124))), closed(1002)},
		{"control length in 64 bits", raw.Bytes("\x89\xff\x00\x00\x00\x00\x00\x01\x00\x00abcd"), closed(1002)},
		{"ten pings", raw.Bytes(ten, bye), says(pongs...)},
		{"unasked pong", raw.Bytes(raw.Pong(""), raw.Text("a"), bye), says("text a")},
		{"unasked pong with payload, then ping", raw.Bytes(raw.Pong("x"), raw.Ping("y"), bye), says("pong y")},
		{"ping in pieces", raw.Bytes(raw.Part(raw.Ping("a")), raw.Continue("b")), closed(1002)},
		{"pong in pieces", raw.Bytes(raw.Part(raw.Pong("a"))), closed(1002)},
		{"close in pieces", raw.Bytes(raw.Part(bye)), closed(1002)},
		{"ping after close is not answered", raw.Bytes(bye, raw.Ping("late")), says()},
		{"text after close is not answered", raw.Bytes(bye, raw.Text("late")), says()},
		{"garbage after close does no harm", raw.Bytes(bye, "\xff\xff\xff\xff"), says()},
	})
}

// RFC 6455 §8.1: text is UTF-8, wherever it is cut.
func TestUTF8(t *testing.T) {
	valid := []string{
		"κόσμε", "Hello-µ@ßöäüàá-UTF-8!!", "\u0000", "\u007f", "\u0080", "\u07ff", "\u0800", "\uffff",
		"\U00010000", "\U0010ffff", "\ud7ff", "\ue000", "\ufffd", "\ufffe", "\U0001fffe", "😀🎉",
	}
	invalid := []string{
		"\x80", "\xbf", "\xc0", "\xc0\xaf", "\xc1\xbf", "\xe0\x80\xaf", "\xf0\x80\x80\xaf", "\xe0\x9f\xbf", "\xf0\x8f\xbf\xbf",
		"\xed\xa0\x80", "\xed\xbf\xbf", "\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "\xf8\x88\x80\x80\x80", "\xfc\x84\x80\x80\x80\x80",
		"\xfe", "\xff", "\xce", "\xe0\xa0", "\xf0\x90\x80", "κόσμε\xed\xa0\x80edited", "\xc3\x28", "\xe2\x28\xa1", "\xe2\x82\x28", "\xf0\x28\x8c\xbc",
	}
	var stories []exchange
	for _, s := range valid {
		stories = append(stories, exchange{"valid " + quote(s), raw.Bytes(raw.Text(s), bye), says("text " + s)})
		pieces := []byte{}
		for i := range len(s) {
			op := ws.OpContinuation
			if i == 0 {
				op = ws.OpText
			}
			pieces = raw.Frame{Op: op, Payload: s[i : i+1], More: true}.Append(pieces)
		}
		stories = append(stories, exchange{"valid, a byte per frame " + quote(s), raw.Bytes(pieces, raw.Continue(""), bye), says("text " + s)})
	}
	for _, s := range invalid {
		stories = append(stories,
			exchange{"invalid " + quote(s), raw.Bytes(raw.Text(s)), closed(1007)},
			exchange{"invalid, in two frames " + quote(s), raw.Bytes(raw.Part(raw.Text(s[:len(s)/2])), raw.Continue(s[len(s)/2:])), closed(1007)},
			exchange{"fine as binary " + quote(s), raw.Bytes(raw.Binary(s), bye), says("binary " + s)})
	}
	// Fail fast: the frame says that more follows, none does, the end comes.
	stories = append(stories,
		exchange{"seen in a fragment before the last", raw.Bytes(raw.Part(raw.Text("κόσμε\xf4\x90"))), closed(1007)},
		exchange{"seen when a later fragment makes it wrong", raw.Bytes(raw.Part(raw.Text("κόσμε\xf4")), raw.Part(raw.Continue("\x90"))), closed(1007)},
		exchange{"seen in the middle of a frame", raw.Bytes(raw.Bytes(raw.Text("ok\xff" + strings.Repeat("x", 100)))[:2+4+3]), closed(1007)},
		exchange{"seen at the second byte of a code point in the middle of a frame", raw.Bytes(raw.Bytes(raw.Text("ok\xed\xa0" + strings.Repeat("x", 100)))[:2+4+4]), closed(1007)},
		exchange{"not seen where more could mend it", raw.Bytes(raw.Part(raw.Text("\xf0\x9f")), raw.Ping("still here"), raw.Part(raw.Continue("\x98")), raw.Continue("\x80"), bye), says("pong still here", "text 😀")},
	)
	play(t, stories)
}

// RFC 6455 §5.5.1, §7.4: the codes of close frames.
func TestCloseCodes(t *testing.T) {
	stories := []exchange{
		{"no code", raw.Bytes(raw.CloseRaw("")), []string{"close", "end"}},
		{"half a code", raw.Bytes(raw.CloseRaw("\x03")), closed(1002)},
		{"reason", raw.Bytes(raw.Close(1000, "done for today")), closed(1000)},
		{"longest reason", raw.Bytes(raw.Close(1000, strings.Repeat("*", 123))), closed(1000)},
		{"reason that is not UTF-8", raw.Bytes(raw.Close(1000, "κόσμε\xed\xa0\x80")), closed(1007)},
		{"close twice", raw.Bytes(bye, bye), closed(1000)},
		{"answers are sent before the close", raw.Bytes(raw.Text("a"), raw.Ping("b"), bye), says("text a", "pong b")},
		{"a large answer is sent before the close", raw.Bytes(raw.Binary(strings.Repeat("x", 4<<20)), bye), says("binary " + strings.Repeat("x", 4<<20))},
	}
	for _, code := range []uint16{1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 3999, 4000, 4999} {
		stories = append(stories, exchange{"legal " + itoa(int(code)), raw.Bytes(raw.Close(code, "")), closed(int(code))})
	}
	for _, code := range []uint16{0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535} {
		stories = append(stories, exchange{"illegal " + itoa(int(code)), raw.Bytes(raw.Close(code, "")), closed(1002)})
	}
	play(t, stories)
}

// What is too much is refused by its header, before its bytes.
func TestLimits(t *testing.T) {
	play(t, []exchange{
		{"declared over the limit", raw.Bytes("\x82\xff\x00\x00\x00\x00\x01\x00\x00\x01\x01\x02\x03\x04"), closed(1009)},
		{"declared enormous", raw.Bytes("\x82\xff\x7f\xff\xff\xff\xff\xff\xff\xff\x01\x02\x03\x04"), closed(1009)},
		{"fragments together over the limit", raw.Bytes(raw.Part(raw.Binary("x")), "\x80\xff\x00\x00\x00\x00\x01\x00\x00\x00\x01\x02\x03\x04"), closed(1009)},
		{"fragments together enormous", raw.Bytes(raw.Part(raw.Binary("x")), "\x00\xff\x7f\xff\xff\xff\xff\xff\xff\xff\x01\x02\x03\x04"), closed(1009)},
	})
}

// Large messages, whole and in pieces, up to the limit.
func TestLarge(t *testing.T) {
	if testing.Short() {
		t.Skip("moves hundreds of MB")
	}
	everyWay(t, func(t *testing.T, s *server) {
		for _, n := range []int{1 << 20, maxMessage} {
			body := strings.Repeat("0123456789abcde\n", n/16)
			check(t, s.dial(t, nil), exchange{"text of " + itoa(n), nil, says("text " + body)}, raw.Bytes(raw.Text(body), bye))
			var pieces []raw.Frame
			for i := 0; i < n; i += 1 << 16 {
				f := raw.Part(raw.Continue(body[i : i+1<<16]))
				if i == 0 {
					f.Op = ws.OpBinary
				}
				pieces = append(pieces, f)
			}
			check(t, s.dial(t, nil), exchange{"pieces of " + itoa(n), nil, says("binary " + body)}, raw.Bytes(pieces, raw.Continue(""), bye))
		}
		small := raw.Bytes(raw.Part(raw.Binary(strings.Repeat("x", 64))))
		for range 1<<16 - 1 {
			small = raw.Part(raw.Continue(strings.Repeat("y", 64))).Append(small)
		}
		want := "binary " + strings.Repeat("x", 64) + strings.Repeat("y", 64*(1<<16-1))
		check(t, s.dial(t, nil), exchange{"4 MiB in pieces of 64 bytes", nil, says(want)}, raw.Bytes(small, raw.Continue(""), bye))
	})
}
