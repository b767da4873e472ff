package transport

import (
	"strings"
	"testing"

	"github.com/gobwas/ws"

	"rollcall/internal/conformance/raw"
)

// BenchmarkParse takes one masked text frame of 100 bytes from header to valid
// UTF-8.
func BenchmarkParse(b *testing.B) {
	frame := raw.Bytes(raw.Text(strings.Repeat("x", 100)))
	buf := make([]byte, len(frame))
	var a assembler
	lim := limits{message: 64 << 10, fragments: 100}
	b.ReportAllocs()
	b.SetBytes(int64(len(frame)))
	for b.Loop() {
		copy(buf, frame)
		if ev, _, bad := a.next(buf, lim); bad != noBreach || ev.op != ws.OpText {
			b.Fatal(ev, bad)
		}
	}
}

func BenchmarkAppendFrame(b *testing.B) {
	payload := []byte(strings.Repeat("x", 100))
	room := make([]byte, 0, 128)
	b.ReportAllocs()
	for b.Loop() {
		room = AppendFrame(room[:0], ws.OpText, payload)
	}
}
