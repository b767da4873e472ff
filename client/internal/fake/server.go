// Package fake is a server for tests of clients: it upgrades connections and
// hands them to the test, which plays the server's part by itself.
package fake

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gobwas/ws"
	"github.com/stretchr/testify/require"

	"rollcall/protocol"
)

// Server is a server whose connections a test plays.
type Server struct {
	URL string
	// Dial connects to it, for client.Options.NetDial.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)

	t     testing.TB
	peers chan *Peer

	mu     sync.Mutex
	refuse http.HandlerFunc // nil: upgrade
}

// New starts a server on loopback.
func New(t testing.TB) *Server {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	return start(t, l, "ws://"+l.Addr().String(), new(net.Dialer).DialContext)
}

// NewPipe starts a server in memory, for time that stands still: see
// testing/synctest.
func NewPipe(t testing.TB) *Server {
	t.Helper()
	l := &pipeListener{conns: make(chan net.Conn), closed: make(chan struct{})}
	return start(t, l, "ws://pipe", l.dial)
}

func start(t testing.TB, l net.Listener, url string, dial func(context.Context, string, string) (net.Conn, error)) *Server {
	s := &Server{URL: url, Dial: dial, t: t, peers: make(chan *Peer, 16)}
	h := &http.Server{Handler: s, ReadHeaderTimeout: time.Minute}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = h.Serve(l)
	}()
	t.Cleanup(func() {
		_ = h.Close()
		<-ended
		for {
			select {
			case p := <-s.peers:
				p.Drop()
			default:
				return
			}
		}
	})
	return s
}

// Refuse answers handshakes with h from now on; nil: upgrades them.
func (s *Server) Refuse(h http.HandlerFunc) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.refuse = h
}

// ServeHTTP upgrades a connection, or refuses it.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	refuse := s.refuse
	s.mu.Unlock()
	if refuse != nil {
		refuse(w, r)
		return
	}
	nc, _, _, err := ws.HTTPUpgrader{Protocol: func(p string) bool { return p == protocol.Subprotocol }}.Upgrade(r, w)
	if err != nil {
		return
	}
	s.peers <- &Peer{t: s.t, nc: nc, Request: r, Query: r.URL.Query()}
}

// Accept waits for the next connection. Its socket is closed when the test
// ends.
func (s *Server) Accept() *Peer {
	s.t.Helper()
	p := <-s.peers
	s.t.Cleanup(p.Drop)
	return p
}

// Welcome accepts the next connection and welcomes it as a new session, whose
// token is its name with a t for the s.
func (s *Server) Welcome(session string) *Peer {
	s.t.Helper()
	p := s.Accept()
	p.Send(Welcome(session))
	return p
}

// Resume accepts the next connection, which has to bring that token, and
// welcomes it as the session that came back.
func (s *Server) Resume(token, session, next string) *Peer {
	s.t.Helper()
	p := s.Accept()
	require.Equal(s.t, token, p.Query.Get("resume"))
	w := Welcome(session)
	w.Resumed, w.Resume = true, next
	p.Send(w)
	return p
}

// Welcome is what the server says to a new session.
func Welcome(session string) *protocol.Welcome {
	return &protocol.Welcome{
		Session: session, User: "kim", Name: "Kim", Resume: "t" + strings.TrimPrefix(session, "s"),
		HeartbeatMS: 25_000, ResumeWindowMS: 10_000, MaxBytes: 65536, Server: "fake", At: 1,
	}
}

// Peer is the server's end of one connection. Its methods are called by the
// test's goroutine.
type Peer struct {
	Request *http.Request
	Query   url.Values

	t  testing.TB
	nc net.Conn
}

// Frame reads one frame and unmasks it.
func (p *Peer) Frame() (ws.Header, []byte) {
	p.t.Helper()
	h, err := ws.ReadHeader(p.nc)
	require.NoError(p.t, err)
	require.NoError(p.t, ws.CheckHeader(h, ws.StateServerSide))
	payload := make([]byte, h.Length)
	_, err = io.ReadFull(p.nc, payload)
	require.NoError(p.t, err)
	ws.Cipher(payload, h.Mask, 0)
	return h, payload
}

// Command reads the next command.
func (p *Peer) Command() protocol.Command {
	p.t.Helper()
	h, payload := p.Frame()
	require.Equal(p.t, ws.OpText, h.OpCode, "%s", payload)
	c, err := protocol.Decode(payload)
	require.Nil(p.t, err, "%s", payload)
	return c
}

// Send sends a message.
func (p *Peer) Send(m protocol.Message) {
	p.t.Helper()
	p.Text(m.AppendJSON(nil))
}

// Text sends one text message.
func (p *Peer) Text(message []byte) {
	p.t.Helper()
	p.Write(ws.NewTextFrame(message))
}

// Write sends any frame, in one write.
func (p *Peer) Write(f ws.Frame) {
	p.t.Helper()
	p.Bytes(ws.MustCompileFrame(f))
}

// Bytes sends any bytes.
func (p *Peer) Bytes(b []byte) {
	p.t.Helper()
	_, err := p.nc.Write(b)
	require.NoError(p.t, err)
}

// Close sends a close frame, waits for the client's and ends the stream.
func (p *Peer) Close(code protocol.CloseCode, reason string) {
	p.t.Helper()
	p.Write(ws.NewCloseFrame(ws.NewCloseFrameBody(ws.StatusCode(code), reason)))
	require.Equal(p.t, code, p.Closing())
	p.Drop()
}

// Closing reads to the client's close frame and returns its code.
func (p *Peer) Closing() protocol.CloseCode {
	p.t.Helper()
	for {
		h, payload := p.Frame()
		if h.OpCode == ws.OpClose {
			code, _ := ws.ParseCloseFrameData(payload)
			return protocol.CloseCode(code)
		}
	}
}

// Gone waits for the end of the stream and returns what it was: io.EOF, or the
// error of a reset.
func (p *Peer) Gone() error {
	_, err := io.Copy(io.Discard, p.nc)
	if err == nil {
		return io.EOF
	}
	return err
}

// Drop closes the socket without a close frame.
func (p *Peer) Drop() { _ = p.nc.Close() }

// pipeListener accepts the other ends of pipes.
type pipeListener struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

var errListenerClosed = errors.New("the fake server is closed")

func (l *pipeListener) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	ours, theirs := net.Pipe()
	select {
	case l.conns <- theirs:
		return ours, nil
	case <-l.closed:
		return nil, errListenerClosed
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (l *pipeListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.closed:
		return nil, errListenerClosed
	}
}

func (l *pipeListener) Close() error {
	l.once.Do(func() { close(l.closed) })
	return nil
}

func (l *pipeListener) Addr() net.Addr { return pipeAddr{} }

type pipeAddr struct{}

func (pipeAddr) Network() string { return "pipe" }
func (pipeAddr) String() string  { return "pipe" }

// Read reads bytes as they come, for frames that break the rules.
func (p *Peer) Read(b []byte) (int, error) { return p.nc.Read(b) }

// Echo is the server's part of a close that the client began: its close frame
// was read already.
func (p *Peer) Echo(code protocol.CloseCode) {
	p.t.Helper()
	p.Write(ws.NewCloseFrame(ws.NewCloseFrameBody(ws.StatusCode(code), "")))
	p.Drop()
}
