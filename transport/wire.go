package transport

import (
	"net"
	"time"
)

// wire is the socket under a tls.Conn of Listen. It is a net.Conn like any
// other through both handshakes; then an event loop may put its own descriptor
// in, after which no call blocks.
type wire struct {
	net.Conn
	raw rawSocket // not nil: the event loop's
}

// rawSocket is a descriptor in an event loop. Its calls are made with conn.mu
// held, because a tls.Conn writes while it reads (alerts, key updates).
type rawSocket interface {
	// receive is a Read that answers errAgain when nothing is there.
	receive(b []byte) (int, error)
	// seal takes all of b without blocking.
	seal(b []byte)
}

// errAgain tells crypto/tls to stop for now: it keeps what it has of a record
// when an error calls itself temporary.
var errAgain net.Error = again{}

type again struct{}

func (again) Error() string   { return "nothing to read yet" }
func (again) Timeout() bool   { return true }
func (again) Temporary() bool { return true }

func (w *wire) Read(b []byte) (int, error) {
	if w.raw == nil {
		return w.Conn.Read(b)
	}
	return w.raw.receive(b)
}

func (w *wire) Write(b []byte) (int, error) {
	if w.raw == nil {
		return w.Conn.Write(b)
	}
	w.raw.seal(b)
	return len(b), nil
}

func (w *wire) Close() error {
	if w.raw == nil {
		return w.Conn.Close()
	}
	return nil // the event loop closes its descriptor
}

func (w *wire) SetDeadline(t time.Time) error {
	if w.raw == nil {
		return w.Conn.SetDeadline(t)
	}
	return nil
}

func (w *wire) SetReadDeadline(t time.Time) error {
	if w.raw == nil {
		return w.Conn.SetReadDeadline(t)
	}
	return nil
}

func (w *wire) SetWriteDeadline(t time.Time) error {
	if w.raw == nil {
		return w.Conn.SetWriteDeadline(t)
	}
	return nil
}
