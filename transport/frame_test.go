package transport

import (
	"bytes"
	"strings"
	"testing"

	"github.com/gobwas/ws"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// frameSizes are where a header changes its form.
var frameSizes = []int{0, 1, 124, 125, 126, 127, 1000, 65535, 65536, 65537, 100_000}

func TestAppendFrameIsWhatGobwasReads(t *testing.T) {
	for _, n := range frameSizes {
		for _, op := range []ws.OpCode{ws.OpText, ws.OpBinary} {
			payload := bytes.Repeat([]byte{'x'}, n)
			b := AppendFrame([]byte("before"), op, payload)
			require.True(t, bytes.HasPrefix(b, []byte("before")))
			f, err := ws.ReadFrame(bytes.NewReader(b[len("before"):])) //nolint:staticcheck // we made it ourselves
			require.NoError(t, err)
			require.Equal(t, ws.NewFrame(op, true, payload).Header, f.Header)
			require.True(t, bytes.Equal(payload, f.Payload))
		}
	}
}

func TestAppendTextIsAppendFrame(t *testing.T) {
	for _, n := range frameSizes {
		payload := strings.Repeat("é", n/2) + strings.Repeat("x", n%2)
		want := AppendFrame([]byte("before"), ws.OpText, []byte(payload))
		got := AppendText([]byte("before"), func(b []byte) []byte { return append(b, payload...) })
		require.True(t, bytes.Equal(want, got), "payload of %d bytes", n)
	}
}

func TestAppendingFramesAllocatesNothing(t *testing.T) {
	payload := bytes.Repeat([]byte{'x'}, 300)
	room := make([]byte, 0, 1024)
	encode := func(b []byte) []byte { return append(b, payload...) }
	require.Zero(t, testing.AllocsPerRun(100, func() { AppendFrame(room, ws.OpText, payload) }))
	require.Zero(t, testing.AllocsPerRun(100, func() { AppendText(room, encode) }))
}

// A header in any state of arrival is either read as gobwas reads it, or still
// incomplete.
func TestParseHeader(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := ws.Header{
			Fin: rapid.Bool().Draw(t, "fin"), Rsv: rapid.ByteMax(7).Draw(t, "rsv"),
			OpCode: ws.OpCode(rapid.ByteMax(15).Draw(t, "op")), Masked: rapid.Bool().Draw(t, "masked"),
			Length: rapid.OneOf(rapid.Int64Range(0, 200), rapid.Int64Range(65000, 66000), rapid.Int64Min(0)).Draw(t, "length"),
		}
		if want.Masked {
			want.Mask = [4]byte(rapid.SliceOfN(rapid.Byte(), 4, 4).Draw(t, "mask"))
		}
		var w bytes.Buffer
		require.NoError(t, ws.WriteHeader(&w, want))
		b := w.Bytes()
		for n := range len(b) {
			_, size, ok := parseHeader(b[:n])
			require.True(t, ok)
			require.Zero(t, size)
		}
		h, size, ok := parseHeader(append(b, "payload"...))
		require.True(t, ok)
		require.Equal(t, len(b), size)
		require.Equal(t, want, h)
	})
}

func TestFramesFindsTheBoundary(t *testing.T) {
	var b []byte
	var ends []int
	for _, n := range []int{0, 10, 200, 70_000, 3} {
		b = AppendFrame(b, ws.OpText, make([]byte, n))
		ends = append(ends, len(b))
	}
	count, boundary := frames(b, 0)
	require.Equal(t, 5, count)
	require.Zero(t, boundary)
	for i, end := range ends {
		_, boundary = frames(b, end)
		require.Equal(t, end, boundary, "a frame's own end")
		_, boundary = frames(b, end-1)
		require.Equal(t, end, boundary, "inside frame %d", i)
	}
}
