package client

import (
	"errors"
	"io"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gobwas/ws"
	"github.com/stretchr/testify/require"

	"rollcall/client/internal/fake"
	"rollcall/protocol"
)

func TestReadTakesMessages(t *testing.T) {
	c, p := connect(t, fake.New(t), Options{})
	require.Equal(t, protocol.Subprotocol, c.Protocol)
	read := func(want string) {
		t.Helper()
		got, err := c.Read()
		require.NoError(t, err)
		require.Equal(t, want, string(got))
	}

	p.Text([]byte(`{"a":1}`))
	read(`{"a":1}`)

	p.Text(nil)
	read("")

	long := strings.Repeat("é", 100_000)
	p.Text([]byte(long))
	read(long)

	// In fragments that cut a character, with a ping between and a pong nobody asked for.
	p.Write(ws.NewFrame(ws.OpText, false, []byte("caf\xc3")))
	p.Write(ws.NewPingFrame([]byte("there?")))
	p.Write(ws.NewFrame(ws.OpContinuation, false, nil))
	p.Write(ws.NewPongFrame(nil))
	p.Write(ws.NewFrame(ws.OpContinuation, true, []byte("\xa9")))
	read("café")
	h, payload := p.Frame()
	require.Equal(t, ws.OpPong, h.OpCode)
	require.Equal(t, "there?", string(payload))
}

func TestReadEnds(t *testing.T) {
	bye := func(code ws.StatusCode, reason string) []byte {
		return ws.MustCompileFrame(ws.NewCloseFrame(ws.NewCloseFrameBody(code, reason)))
	}
	for _, tt := range []struct {
		name   string
		server []byte // what the server sends
		want   CloseError
		answer protocol.CloseCode // the client's close frame
	}{
		{"a close frame", bye(4500, "idle"), CloseError{Code: 4500, Reason: "idle"}, 4500},
		{"a close frame without a code", []byte{0x88, 0}, CloseError{Code: protocol.CloseNoStatus}, 0},
		{"a close frame of one byte", []byte{0x88, 1, 3}, CloseError{Code: protocol.CloseProtocol}, protocol.CloseProtocol},
		{"a close code that is never sent", bye(1006, ""), CloseError{Code: protocol.CloseProtocol}, protocol.CloseProtocol},
		{"a close reason that is not UTF-8", bye(1000, "\xff"), CloseError{Code: protocol.CloseProtocol}, protocol.CloseProtocol},
		{"a binary message", []byte{0x82, 1, 'x'}, CloseError{Code: protocol.CloseUnsupported}, protocol.CloseUnsupported},
		{"text that is not UTF-8", []byte{0x81, 1, 0xff}, CloseError{Code: protocol.CloseInvalidUTF8}, protocol.CloseInvalidUTF8},
		{"text that ends within a character", []byte{0x81, 2, 0xe2, 0x82}, CloseError{Code: protocol.CloseInvalidUTF8}, protocol.CloseInvalidUTF8},
		{"a long message, before any of it came", []byte{0x81, 126, 0x04, 0x01}, CloseError{Code: protocol.CloseTooBig}, protocol.CloseTooBig},
		{"a long message by fragments", append([]byte{0x01, 126, 0x03, 0xff}, append(make([]byte, 0x3ff), 0x80, 2)...), CloseError{Code: protocol.CloseTooBig}, protocol.CloseTooBig},
		{"an absurd length", []byte{0x81, 127, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, CloseError{Code: protocol.CloseTooBig}, protocol.CloseTooBig},
		{"a negative length", []byte{0x81, 127, 0xff, 0, 0, 0, 0, 0, 0, 0}, CloseError{Code: protocol.CloseProtocol}, protocol.CloseProtocol},
		{"a masked frame", ws.MustCompileFrame(ws.MaskFrame(ws.NewTextFrame([]byte("x")))), CloseError{Code: protocol.CloseProtocol}, protocol.CloseProtocol},
		{"a reserved bit", []byte{0xc1, 0}, CloseError{Code: protocol.CloseProtocol}, protocol.CloseProtocol},
		{"a reserved opcode", []byte{0x83, 0}, CloseError{Code: protocol.CloseProtocol}, protocol.CloseProtocol},
		{"a fragmented ping", []byte{0x09, 0}, CloseError{Code: protocol.CloseProtocol}, protocol.CloseProtocol},
		{"a long ping", []byte{0x89, 126, 0, 126}, CloseError{Code: protocol.CloseProtocol}, protocol.CloseProtocol},
		{"a continuation of nothing", []byte{0x80, 0}, CloseError{Code: protocol.CloseProtocol}, protocol.CloseProtocol},
		{"a message inside another", []byte{0x01, 0, 0x81, 0}, CloseError{Code: protocol.CloseProtocol}, protocol.CloseProtocol},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c, p := connect(t, fake.New(t), Options{MaxBytes: 1024})
			p.Bytes(tt.server)
			ended := asking(c.Read)
			require.Equal(t, tt.answer, p.Closing())
			p.Drop()
			var end *CloseError
			require.ErrorAs(t, (<-ended).err, &end)
			require.Equal(t, tt.want.Code, end.Code)
			require.Equal(t, tt.want.Reason, end.Reason)
			_, err := c.Read()
			require.Same(t, end, err, "the end stays the end")
			require.ErrorIs(t, c.Write(nil), ErrClosed)
		})
	}
}

func TestReadEndsWithoutACloseFrame(t *testing.T) {
	for _, tt := range []struct {
		name   string
		server []byte
		want   error
	}{
		{"between frames", nil, io.EOF},
		{"in a header", []byte{0x81}, io.ErrUnexpectedEOF},
		{"in a payload", []byte{0x81, 5, 'a'}, io.ErrUnexpectedEOF},
		{"between fragments", []byte{0x01, 1, 'a'}, io.EOF},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c, p := connect(t, fake.New(t), Options{})
			p.Bytes(tt.server)
			p.Drop()
			_, err := c.Read()
			var end *CloseError
			require.ErrorAs(t, err, &end)
			require.Equal(t, protocol.CloseAbnormal, end.Code)
			require.ErrorIs(t, end, tt.want)
		})
	}
}

func TestCloseWaitsForTheServer(t *testing.T) {
	c, p := connect(t, fake.New(t), Options{})
	require.NoError(t, c.Close(4900, "enough"))
	require.Equal(t, protocol.CloseCode(4900), p.Closing())
	p.Text([]byte("still on its way"))
	got, err := c.Read()
	require.NoError(t, err)
	require.Equal(t, "still on its way", string(got))
	p.Write(ws.NewCloseFrame(ws.NewCloseFrameBody(4900, "")))
	p.Drop()
	_, err = c.Read()
	require.Equal(t, &CloseError{Code: 4900}, err)
}

func TestCloseDoesNotWaitForever(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := fake.NewPipe(t)
		c, p := connect(t, s, Options{CloseTimeout: time.Second})
		closed := asking(func() (any, error) { return nil, c.Close(1000, "") })
		require.Equal(t, protocol.CloseNormal, p.Closing())
		require.NoError(t, (<-closed).err)
		began := time.Now()
		_, err := c.Read()
		require.Error(t, err)
		require.Equal(t, time.Second, time.Since(began))
	})
}

func TestASilentServerIsAskedThenGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := fake.NewPipe(t)
		c, p := connect(t, s, Options{Quiet: 10 * time.Second})
		began := time.Now()
		read := asking(c.Read)

		h, _ := p.Frame()
		require.Equal(t, ws.OpPing, h.OpCode)
		require.Equal(t, 10*time.Second, time.Since(began))
		time.Sleep(9 * time.Second)
		p.Write(ws.NewPongFrame(nil)) // any byte is a sign of life

		h, _ = p.Frame()
		require.Equal(t, ws.OpPing, h.OpCode)
		require.Equal(t, 29*time.Second, time.Since(began))

		var end *CloseError
		require.ErrorAs(t, (<-read).err, &end)
		require.Equal(t, 39*time.Second, time.Since(began))
		require.Equal(t, protocol.CloseAbnormal, end.Code)
		require.ErrorContains(t, end, "silent")
	})
}

func TestASlowMessageIsNoSilence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, p := connect(t, fake.NewPipe(t), Options{Quiet: 10 * time.Second})
		read := asking(c.Read)
		p.Bytes([]byte{0x81, 5})
		for _, b := range []byte("hello") {
			time.Sleep(8 * time.Second)
			p.Bytes([]byte{b})
		}
		got := <-read
		require.NoError(t, got.err)
		require.Equal(t, "hello", string(got.value))
	})
}

func TestAWriteThatHangsBreaksTheConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, _ := connect(t, fake.NewPipe(t), Options{WriteTimeout: 3 * time.Second})
		began := time.Now()
		require.Error(t, c.Write([]byte("to nobody")))
		require.Equal(t, 3*time.Second, time.Since(began))
		_, err := c.Read()
		require.Error(t, err)
	})
}

// A mask that can be guessed lets a page choose the bytes on the wire
// (RFC 6455 §10.3).
func TestEveryFrameHasItsOwnMask(t *testing.T) {
	c, p := connect(t, fake.New(t), Options{})
	seen := map[[4]byte]bool{}
	for range 8 {
		require.NoError(t, c.Write([]byte("the same")))
		h, payload := p.Frame()
		require.Equal(t, "the same", string(payload))
		seen[h.Mask] = true
	}
	require.Greater(t, len(seen), 6, "masks repeat")
}

func TestWriteFrameSendsWhatTestsNeed(t *testing.T) {
	c, p := connect(t, fake.New(t), Options{})
	long := strings.Repeat("x", 70_000)
	require.NoError(t, c.WriteFrame(ws.OpText, false, []byte("a")))
	require.NoError(t, c.WriteFrame(ws.OpContinuation, true, []byte(long)))
	require.NoError(t, c.Write(nil))
	h, payload := p.Frame()
	require.Equal(t, ws.OpText, h.OpCode)
	require.False(t, h.Fin)
	require.Equal(t, "a", string(payload))
	h, err := ws.ReadHeader(p)
	require.NoError(t, err)
	require.Equal(t, int64(len(long)), h.Length)
}

func TestAbortAndReset(t *testing.T) {
	c, p := connect(t, fake.New(t), Options{})
	c.Abort()
	require.Equal(t, io.EOF, p.Gone())

	c, p = connect(t, fake.New(t), Options{})
	c.Reset()
	err := p.Gone()
	require.True(t, errors.Is(err, syscall.ECONNRESET), "%v", err)
}
