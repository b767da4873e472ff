package protocol

import (
	"encoding/json"
	"strings"
	"testing"
)

// publishFrame is about 100 bytes, as chat messages are.
var publishFrame = []byte(`{"type":"publish","id":12345,"room":"lobby","data":{"text":"` + strings.Repeat("hello ", 7) + `"}}`)

var (
	sinkCommand Command
	sinkMessage Message
	sinkBytes   []byte
)

func BenchmarkDecode(b *testing.B) {
	for _, bb := range []struct {
		name  string
		frame []byte
	}{
		{"publish", publishFrame},
		{"publish with key", []byte(`{"type":"publish","id":12345,"room":"lobby","data":{"text":"hello"},"key":"k-42"}`)},
		{"publish with escapes", []byte(`{"type":"publish","id":12345,"room":"lobby","data":{"text":"a \"quoted\" line\n"},"k\u0065y":"k-42"}`)},
		{"ping", []byte(`{"type":"ping","id":8}`)},
		{"join since", []byte(`{"type":"join","id":1,"room":"lobby","since":{"epoch":"k3v9","offset":41}}`)},
		{"refused", []byte(`{"type":"publish","id":1,"room":"lobby"}`)},
		{"4 KiB of data", []byte(`{"type":"publish","id":1,"room":"lobby","data":[` + strings.Repeat(`{"x":1,"y":"two"},`, 230) + `0]}`)},
	} {
		b.Run(bb.name, func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(len(bb.frame)))
			for b.Loop() {
				sinkCommand, _ = Decode(bb.frame)
			}
		})
	}
}

func BenchmarkEncode(b *testing.B) {
	data := json.RawMessage(`{"text":"` + strings.Repeat("hello ", 7) + `"}`)
	for _, bb := range []struct {
		name string
		m    Message
	}{
		{"message", &MessagePublished{
			Stamp: Stamp{Room: "lobby", Offset: 42, At: 1790000000000}, Message: "m_2", Session: "s_6f0k", User: "kim", Name: "Kim", Data: data,
		}},
		{"join", &MemberJoined{
			Stamp:  Stamp{Room: "lobby", Offset: 42, At: 1790000000000},
			Member: Member{Session: "s_6f0k", User: "kim", Name: "Kim", State: StateActive, Since: 1790000000000},
		}},
		{"leave", &MemberLeft{
			Stamp: Stamp{Room: "lobby", Offset: 43, At: 1790000000000}, Session: "s_6f0k", User: "kim", Reason: ReasonClosed, Last: true, Code: 1001,
		}},
		{"ok", &OK{ID: 7, Offset: 42, Epoch: "k3v9", Message: "m_2"}},
	} {
		b.Run(bb.name, func(b *testing.B) {
			buf := make([]byte, 0, 1024)
			b.ReportAllocs()
			b.SetBytes(int64(len(bb.m.AppendJSON(nil))))
			for b.Loop() {
				buf = bb.m.AppendJSON(buf[:0])
			}
			sinkBytes = buf
		})
	}
}

func BenchmarkDecodeMessage(b *testing.B) {
	frame := (&MessagePublished{
		Stamp: Stamp{Room: "lobby", Offset: 42, At: 1790000000000}, Message: "m_2", Session: "s_6f0k", User: "kim", Name: "Kim",
		Data: json.RawMessage(`{"text":"hello"}`),
	}).AppendJSON(nil)
	b.ReportAllocs()
	b.SetBytes(int64(len(frame)))
	for b.Loop() {
		sinkMessage, _ = DecodeMessage(frame)
	}
}
