package client

import (
	"bufio"
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/gobwas/ws"

	"rollcall/protocol"
)

// Conn is one WebSocket: messages and frames, nothing of rooms. One goroutine
// reads; any may write. Client stands on it; tests and tools use it to see and
// send what a Client would not.
type Conn struct {
	// Set by Connect, then never changed.
	Protocol string   // the sub-protocol that the server chose; empty: it named none
	socket   net.Conn // the TCP connection
	nc       net.Conn // socket, or TLS over it
	opts     Options

	// Owned by Read.
	br      *bufio.Reader
	message []byte
	quiet   time.Duration // as Options.Quiet, with 0 for never
	asked   bool          // a ping is out, for nothing came in quiet
	end     error         // what Read ended with

	mu     sync.Mutex
	out    bytes.Buffer // the frame being written
	closed bool         // a close frame was written: nothing follows it
	cut    *time.Timer  // ends the wait for the server's close frame
}

// ErrClosed is the error of writes after a close frame.
var ErrClosed = errors.New("connection is closed")

// CloseError is the end of a connection.
type CloseError struct {
	Code   protocol.CloseCode // 1005: a close frame without a code; 1006: no close frame, see Err
	Reason string             // the close frame's text; of the server: don't show it unescaped
	Err    error              // why there was no close frame, or what the server did wrong
}

func (e *CloseError) Error() string {
	text := fmt.Sprintf("connection closed: %d", e.Code)
	if e.Reason != "" {
		text += fmt.Sprintf(" %q", e.Reason)
	}
	if e.Err != nil {
		text += ": " + e.Err.Error()
	}
	return text
}

func (e *CloseError) Unwrap() error { return e.Err }

func newConn(o Options) *Conn { return &Conn{opts: o, quiet: max(o.Quiet, 0)} }

// NetConn is the connection under the frames, for tests that break its rules.
func (c *Conn) NetConn() net.Conn { return c.nc }

// Read returns the next text message; the slice holds until the next Read.
// Pings are answered and pongs taken here, so a Conn that is not read looks
// dead. The error is always a *CloseError; after it the connection is gone.
func (c *Conn) Read() ([]byte, error) {
	if c.end != nil {
		return nil, c.end
	}
	message, end := c.next()
	if end != nil {
		c.end = end
		c.Abort()
		c.mu.Lock()
		if c.cut != nil {
			c.cut.Stop()
		}
		c.mu.Unlock()
		return nil, end
	}
	return message, nil
}

func (c *Conn) next() ([]byte, *CloseError) {
	c.message = c.message[:0]
	state := ws.StateClientSide
	for {
		h, err := ws.ReadHeader(c.br)
		if errors.Is(err, ws.ErrHeaderLengthMSB) || errors.Is(err, ws.ErrHeaderLengthUnexpected) {
			return nil, c.refuse(protocol.CloseProtocol, err)
		}
		if err != nil {
			return nil, lost(err)
		}
		if err := ws.CheckHeader(h, state); err != nil {
			return nil, c.refuse(protocol.CloseProtocol, err)
		}
		if h.Masked { // RFC 6455 §5.1
			return nil, c.refuse(protocol.CloseProtocol, ws.ErrProtocolMaskUnexpected)
		}
		if h.OpCode.IsControl() {
			payload := make([]byte, h.Length) // at most 125, as CheckHeader saw
			if _, err := io.ReadFull(c.br, payload); err != nil {
				return nil, lost(err)
			}
			if end := c.control(h.OpCode, payload); end != nil {
				return nil, end
			}
			continue
		}
		if h.OpCode == ws.OpBinary {
			return nil, c.refuse(protocol.CloseUnsupported, errors.New("the server sent a binary message"))
		}
		if h.Length > int64(c.opts.MaxBytes-len(c.message)) {
			return nil, c.refuse(protocol.CloseTooBig, fmt.Errorf("the server sent a message of more than %d bytes", c.opts.MaxBytes))
		}
		if err := c.payload(int(h.Length)); err != nil {
			return nil, lost(err)
		}
		if !h.Fin {
			state = state.Set(ws.StateFragmented)
			continue
		}
		if !utf8.Valid(c.message) {
			return nil, c.refuse(protocol.CloseInvalidUTF8, errors.New("the server sent text that is not UTF-8"))
		}
		return c.message, nil
	}
}

// payload appends n bytes to message, and trusts n only as far as bytes come.
func (c *Conn) payload(n int) error {
	for n > 0 {
		step := min(n, 64<<10)
		from := len(c.message)
		c.message = slices.Grow(c.message, step)[:from+step]
		if _, err := io.ReadFull(c.br, c.message[from:]); err != nil {
			return err
		}
		n -= step
	}
	return nil
}

func (c *Conn) control(op ws.OpCode, payload []byte) *CloseError {
	switch op {
	case ws.OpPing:
		_ = c.WriteFrame(ws.OpPong, true, payload) // a failure shows in the next read
		return nil
	case ws.OpPong:
		return nil
	}
	if len(payload) == 0 {
		c.farewell(nil)
		return &CloseError{Code: protocol.CloseNoStatus}
	}
	code, reason := ws.ParseCloseFrameData(payload) // code 0 where it has one byte
	if err := ws.CheckCloseFrameData(code, reason); err != nil {
		return c.refuse(protocol.CloseProtocol, err)
	}
	c.farewell(ws.NewCloseFrameBody(code, ""))
	return &CloseError{Code: protocol.CloseCode(code), Reason: reason}
}

// farewell sends a close frame, unless one was sent, and lets the server
// end the stream (RFC 6455 §7.1.1): whoever closes with unread input resets the
// connection, and what was sent last may be lost.
func (c *Conn) farewell(body []byte) {
	_ = c.WriteFrame(ws.OpClose, true, body)
	c.quiet = 0
	_ = c.nc.SetReadDeadline(time.Now().Add(c.opts.CloseTimeout))
	_, _ = io.CopyN(io.Discard, c.br, 1<<20)
}

// refuse closes a connection whose server broke the rules.
func (c *Conn) refuse(code protocol.CloseCode, err error) *CloseError {
	c.farewell(ws.NewCloseFrameBody(ws.StatusCode(code), ""))
	return &CloseError{Code: code, Err: err}
}

func lost(err error) *CloseError {
	if errors.Is(err, os.ErrDeadlineExceeded) {
		err = errors.New("the server is silent")
	}
	return &CloseError{Code: protocol.CloseAbnormal, Err: err}
}

// Write sends one text message.
func (c *Conn) Write(message []byte) error { return c.WriteFrame(ws.OpText, true, message) }

// WriteFrame sends any frame, in one write, masked with four bytes that nobody
// can predict (RFC 6455 §5.3). It fails with ErrClosed after a close frame. A
// write that fails breaks the connection.
func (c *Conn) WriteFrame(op ws.OpCode, fin bool, payload []byte) error {
	var mask [4]byte
	_, _ = rand.Read(mask[:]) // never fails: crypto/rand ends the process rather than be weak
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return ErrClosed
	}
	c.closed = op == ws.OpClose
	c.out.Reset()
	_ = ws.WriteHeader(&c.out, ws.Header{Fin: fin, OpCode: op, Masked: true, Mask: mask, Length: int64(len(payload))})
	from := c.out.Len()
	c.out.Write(payload)
	ws.Cipher(c.out.Bytes()[from:], mask, 0)
	_ = c.nc.SetWriteDeadline(time.Now().Add(c.opts.WriteTimeout))
	if _, err := c.nc.Write(c.out.Bytes()); err != nil {
		c.Abort() // the frame may be cut in the middle: nothing may follow
		return fmt.Errorf("write: %w", err)
	}
	if c.out.Cap() > 64<<10 {
		c.out = bytes.Buffer{}
	}
	return nil
}

// Close begins the close handshake: the end comes to Read, after
// Options.CloseTimeout at the latest. reason is at most 123 bytes of UTF-8.
func (c *Conn) Close(code protocol.CloseCode, reason string) error {
	if err := c.WriteFrame(ws.OpClose, true, ws.NewCloseFrameBody(ws.StatusCode(code), reason)); err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.cut = time.AfterFunc(c.opts.CloseTimeout, c.Abort)
	return nil
}

// Abort ends the connection without a close frame, as a killed process does:
// the server sees the end of the stream.
func (c *Conn) Abort() { _ = c.socket.Close() }

// Reset ends the connection with a TCP reset (SO_LINGER 0), as a crashed
// machine or a hostile peer does.
func (c *Conn) Reset() {
	if tcp, ok := c.socket.(interface{ SetLinger(int) error }); ok {
		_ = tcp.SetLinger(0)
	}
	c.Abort()
}

// liveReader reads from the connection and, when nothing comes for quiet, asks
// with a ping before it gives up: any byte is a sign of life.
type liveReader struct{ c *Conn }

func (r *liveReader) Read(p []byte) (int, error) {
	c := r.c
	for {
		if c.quiet > 0 {
			_ = c.nc.SetReadDeadline(time.Now().Add(c.quiet))
		}
		n, err := c.nc.Read(p)
		if n > 0 {
			c.asked = false
			return n, err
		}
		if c.quiet == 0 || c.asked || !errors.Is(err, os.ErrDeadlineExceeded) {
			return n, err
		}
		c.asked = true
		if err := c.WriteFrame(ws.OpPing, true, nil); err != nil {
			return 0, err
		}
	}
}
