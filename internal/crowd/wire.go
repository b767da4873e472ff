// Package crowd is thousands of cheap clients in a process of their own, for
// tests and measurements of a server over real sockets: client and server in
// one process would need twice the descriptors, and could not be killed. A
// crowd connects, follows the streams of its rooms, and misbehaves as ordered.
package crowd

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"time"
)

// Wire is the frames of one connection, read in place. One goroutine reads;
// any may write.
type Wire struct {
	net.Conn
	buf        []byte // read and not yet taken: buf[from:]
	from       int
	Read, Most int // bytes read in all; at most so many at once, 0: what there is
}

// Dial upgrades a connection by hand. Header is whole lines, each ended by CR
// and LF. Of what comes behind the answer nothing is lost. timeout bounds all of
// it.
func Dial(address, query, header string, readBuffer int, timeout time.Duration) (*Wire, error) {
	conn, err := net.DialTimeout("tcp", address, timeout)
	if err != nil {
		return nil, err
	}
	if readBuffer > 0 {
		_ = conn.(*net.TCPConn).SetReadBuffer(readBuffer)
	}
	w := &Wire{Conn: conn}
	if err := w.upgrade(address, query, header, timeout); err != nil {
		_ = conn.Close()
		return nil, err
	}
	return w, nil
}

func (w *Wire) upgrade(address, query, header string, timeout time.Duration) error {
	_ = w.SetDeadline(time.Now().Add(timeout))
	_, err := fmt.Fprintf(w.Conn, "GET /ws?%s HTTP/1.1\r\nHost: %s\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"+
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n%s\r\n", query, address, header)
	for err == nil {
		if answer, rest, ok := strings.Cut(string(w.buf), "\r\n\r\n"); ok {
			if !strings.HasPrefix(answer, "HTTP/1.1 101 ") {
				status, _, _ := strings.Cut(answer, "\r\n")
				return fmt.Errorf("handshake: %s", status)
			}
			w.from = len(w.buf) - len(rest)
			return w.SetDeadline(time.Time{})
		}
		err = w.more(512)
	}
	return err
}

// more reads once, and makes room for n bytes at least.
func (w *Wire) more(n int) error {
	if w.from == len(w.buf) {
		w.buf, w.from = w.buf[:0], 0
	}
	if cap(w.buf)-len(w.buf) < n {
		grown := make([]byte, len(w.buf)-w.from, max(len(w.buf)-w.from+n, 2048))
		copy(grown, w.buf[w.from:])
		w.buf, w.from = grown, 0
	}
	space := w.buf[len(w.buf):cap(w.buf)]
	if w.Most > 0 && len(space) > w.Most {
		space = space[:w.Most]
	}
	got, err := w.Conn.Read(space)
	w.buf = w.buf[:len(w.buf)+got]
	w.Read += got
	if got > 0 {
		return nil
	}
	return err
}

// Frame returns the next frame. The payload holds until the next call.
func (w *Wire) Frame() (op byte, payload []byte, err error) {
	for {
		b := w.buf[w.from:]
		head, n, ok := frameLength(b)
		if ok && len(b) >= head+n {
			w.from += head + n
			return b[0] & 15, b[head : head+n], nil
		}
		need := 512
		if ok {
			need = head + n - len(b)
		}
		if err := w.more(need); err != nil {
			if errors.Is(err, io.EOF) && len(b) > 0 {
				err = io.ErrUnexpectedEOF
			}
			return 0, nil, err
		}
	}
}

// Slim gives a large buffer back that nothing is in.
func (w *Wire) Slim() {
	if w.from == len(w.buf) && cap(w.buf) > 16<<10 {
		w.buf, w.from = nil, 0
	}
}

// frameLength reads the header of a frame from a server.
func frameLength(b []byte) (head, payload int, ok bool) {
	if len(b) < 2 {
		return 0, 0, false
	}
	switch n := int(b[1] & 127); {
	case n < 126:
		return 2, n, true
	case n == 126 && len(b) >= 4:
		return 4, int(binary.BigEndian.Uint16(b[2:])), true
	case n == 127 && len(b) >= 10:
		return 10, int(binary.BigEndian.Uint64(b[2:])), true
	}
	return 0, 0, false
}

// Frame is a client's frame, with a mask of zeros.
func Frame(op byte, payload []byte) []byte {
	b := []byte{0x80 | op}
	switch n := len(payload); {
	case n < 126:
		b = append(b, 0x80|byte(n))
	case n < 1<<16:
		b = binary.BigEndian.AppendUint16(append(b, 0x80|126), uint16(n))
	default:
		b = binary.BigEndian.AppendUint64(append(b, 0x80|127), uint64(n))
	}
	return append(append(b, 0, 0, 0, 0), payload...)
}

// Send writes one text frame.
func (w *Wire) Send(text string) error {
	_, err := w.Write(Frame(1, []byte(text)))
	return err
}

// Reset ends the connection with a TCP reset.
func (w *Wire) Reset() {
	if tcp, ok := w.Conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	_ = w.Close()
}
