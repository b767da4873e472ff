package transport

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime/debug"
	"strconv"
	"sync"
	"time"
)

// Serve serves a listener of Listen with a server of HTTPServer, until that is
// shut down or the listener closed. Handshakes in plain text to the paths for
// which express says true take the short way: they are read here and handed to
// the server's handler, past the rest of net/http, which costs more than
// everything else about a connection. Nil: none do.
//
// A handler on the short way gets the request as net/http would have made it,
// and the same bounds. What it answers, if it does not upgrade, is sent when it
// returns, and ends the connection.
func Serve(web *http.Server, l net.Listener, express func(path string) bool) error {
	p, plain := l.(*pending)
	if !plain || express == nil {
		return web.Serve(l)
	}
	x := &expressWay{
		pending: p, web: web, takes: express, others: make(chan net.Conn), failed: make(chan error),
		done: make(chan struct{}), reading: map[*pendingConn]struct{}{},
	}
	go x.run()
	return web.Serve(x)
}

// expressWay is the listener that net/http sees: of what comes, it gets what
// does not take the short way.
type expressWay struct {
	*pending
	web   *http.Server
	takes func(path string) bool

	others chan net.Conn
	failed chan error
	done   chan struct{} // closed by Close

	mu      sync.Mutex
	closed  bool
	reading map[*pendingConn]struct{} // whose request is awaited
}

// Accept implements net.Listener.
func (x *expressWay) Accept() (net.Conn, error) {
	select {
	case c := <-x.others:
		return c, nil
	case err := <-x.failed:
		return nil, err
	case <-x.done:
		return nil, net.ErrClosed
	}
}

// Close implements net.Listener. Those whose request has not come are closed;
// handlers that run go on.
func (x *expressWay) Close() error {
	x.mu.Lock()
	if !x.closed {
		x.closed = true
		close(x.done)
	}
	for c := range x.reading {
		_ = c.Conn.Close()
	}
	x.mu.Unlock()
	return x.pending.Close()
}

// run accepts until the listener is closed. Errors are for net/http, which
// waits a while after each.
func (x *expressWay) run() {
	for {
		nc, err := x.pending.Accept()
		if err == nil {
			go x.serve(nc.(*pendingConn))
			continue
		}
		select {
		case x.failed <- err:
		case <-x.done:
		}
		if errors.Is(err, net.ErrClosed) {
			return
		}
	}
}

// enter counts a connection among those whose request is awaited; false: it is
// too late.
func (x *expressWay) enter(c *pendingConn) bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	if !x.closed {
		x.reading[c] = struct{}{}
	}
	return !x.closed
}

func (x *expressWay) leave(c *pendingConn) {
	x.mu.Lock()
	defer x.mu.Unlock()
	delete(x.reading, c)
}

// expressBytes is the longest request that takes the short way. Those of
// browsers are some 500 bytes, with cookies up to a few thousand.
const expressBytes = 4 << 10

var expressBuffers = sync.Pool{New: func() any { return new([expressBytes]byte) }}

// serve reads the first request of a connection, and sends it one way or the
// other.
func (x *expressWay) serve(c *pendingConn) {
	if !x.enter(c) {
		_ = c.Close()
		return
	}
	buf := expressBuffers.Get().(*[expressBytes]byte)
	defer expressBuffers.Put(buf)
	r, rest, got := x.read(c, buf)
	x.leave(c)
	switch {
	case r != nil:
		x.handle(c, r, bytes.Clone(rest))
	case len(got) > 0:
		x.handOver(c, bytes.Clone(got))
	default:
		_ = c.Close()
	}
}

// read reads a handshake, and what came behind it. Where it is none it returns
// what was read so far; where nothing, or not enough in time, nothing.
func (x *expressWay) read(c *pendingConn, buf *[expressBytes]byte) (r *http.Request, rest, got []byte) {
	_ = c.SetReadDeadline(time.Now().Add(x.web.ReadHeaderTimeout))
	limit, n := min(len(buf), x.web.MaxHeaderBytes), 0
	for n < limit {
		more, err := c.Read(buf[n:limit])
		from := max(n-len(endOfHead)+1, 0)
		n += more
		if x.foreign(buf[:n]) {
			break
		}
		if at := bytes.Index(buf[from:n], endOfHead); at >= 0 {
			head := from + at + len(endOfHead)
			if r = parseHandshake(string(buf[:head])); r != nil {
				return r, buf[head:n], nil
			}
			break
		}
		if errors.Is(err, io.EOF) {
			break // net/http has words for it
		}
		if err != nil {
			return nil, nil, nil
		}
	}
	return nil, nil, buf[:n]
}

var endOfHead = []byte("\r\n\r\n")

// foreign reports whether a request that begins like this is for net/http.
func (x *expressWay) foreign(b []byte) bool {
	const get = "GET "
	if len(b) < len(get) {
		return string(b) != get[:len(b)]
	}
	target := b[len(get):]
	end := bytes.IndexAny(target, "? ")
	return string(b[:len(get)]) != get || end >= 0 && !x.takes(string(target[:end]))
}

// handOver gives a connection to net/http, with what was read of it.
func (x *expressWay) handOver(c *pendingConn, got []byte) {
	c.head = got
	select {
	case x.others <- c:
	case <-x.done:
		_ = c.Close()
	}
}

// handle runs the handler for a request.
func (x *expressWay) handle(c *pendingConn, r *http.Request, early []byte) {
	r.RemoteAddr = c.RemoteAddr().String()
	w := &expressAnswer{c: c, early: early}
	defer func() {
		if p := recover(); p != nil && p != http.ErrAbortHandler {
			if x.web.ErrorLog != nil {
				x.web.ErrorLog.Printf("http: panic serving %s: %v\n%s", r.RemoteAddr, p, debug.Stack())
			}
			w.abort()
		}
	}()
	x.web.Handler.ServeHTTP(w, r.WithContext(pendingContext(context.Background(), c)))
	if !w.hijacked {
		w.send(r)
	}
}

// expressAnswer is the http.ResponseWriter of the short way.
type expressAnswer struct {
	c        *pendingConn
	early    []byte // came behind the request
	header   http.Header
	status   int // 0: not written yet
	body     bytes.Buffer
	hijacked bool
}

// Header implements http.ResponseWriter.
func (w *expressAnswer) Header() http.Header {
	if w.header == nil {
		w.header = http.Header{}
	}
	return w.header
}

// WriteHeader implements http.ResponseWriter.
func (w *expressAnswer) WriteHeader(status int) {
	if w.status == 0 {
		w.status = status
	}
}

// Write implements http.ResponseWriter.
func (w *expressAnswer) Write(b []byte) (int, error) {
	w.WriteHeader(http.StatusOK)
	return w.body.Write(b)
}

// takeOver is what Hijack is to a handler of net/http: the connection, and what
// came behind the request.
func (w *expressAnswer) takeOver() (net.Conn, []byte, error) {
	if w.hijacked {
		return nil, nil, http.ErrHijacked
	}
	w.hijacked = true
	w.c.all.mu.Lock()
	w.c.leave()
	w.c.all.mu.Unlock()
	return w.c, w.early, nil
}

// abort closes the connection of a handler that failed, unless it is not ours
// any more.
func (w *expressAnswer) abort() {
	if !w.hijacked {
		_ = w.c.Close()
	}
}

const (
	// answerTimeout bounds the writing of an answer, for which a fresh connection
	// always has room.
	answerTimeout = 5 * time.Second
	// lingerTimeout is how long the peer has to read it and to close: a close
	// while its bytes are unread would be a reset, which may overtake the answer.
	lingerTimeout = 500 * time.Millisecond
)

// send writes the answer, and ends the connection.
func (w *expressAnswer) send(r *http.Request) {
	defer func() { _ = w.c.Close() }()
	w.WriteHeader(http.StatusOK)
	h := w.Header()
	if h.Get("Date") == "" {
		h.Set("Date", time.Now().UTC().Format(http.TimeFormat))
	}
	h.Set("Content-Length", strconv.Itoa(w.body.Len()))
	h.Set("Connection", "close")
	var b bytes.Buffer
	_, _ = fmt.Fprintf(&b, "%s %d %s\r\n", r.Proto, w.status, http.StatusText(w.status))
	_ = h.Write(&b) // into memory: can't fail
	b.WriteString("\r\n")
	b.Write(w.body.Bytes())
	_ = w.c.SetDeadline(time.Now().Add(answerTimeout))
	if _, err := w.c.Write(b.Bytes()); err != nil {
		return
	}
	if t, ok := w.c.Conn.(*net.TCPConn); ok && t.CloseWrite() == nil {
		_ = w.c.SetReadDeadline(time.Now().Add(lingerTimeout))
		_, _ = io.CopyN(io.Discard, w.c, expressBytes)
	}
}
