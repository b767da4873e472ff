package client

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"

	"github.com/gobwas/ws"
)

// HandshakeError is an answer to the handshake other than 101.
type HandshakeError struct {
	Status int
	Header http.Header
	Body   []byte // the first 4 KiB
	Detail string // of a problem+json body: the server's words, don't show them unescaped
}

func (e *HandshakeError) Error() string {
	text := fmt.Sprintf("handshake refused: %d %s", e.Status, http.StatusText(e.Status))
	if e.Detail != "" {
		text += fmt.Sprintf(": %q", e.Detail)
	}
	return text
}

const (
	maxHandshakeBytes = 64 << 10 // of the server's answer, and what it sends with it
	maxBodyBytes      = 4 << 10
)

// Connect opens one WebSocket; ctx bounds the handshake alone. The error is a
// *HandshakeError where the server answered and refused.
func Connect(ctx context.Context, rawURL string, o Options) (*Conn, error) {
	o = o.withDefaults()
	address, err := o.address(rawURL)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, o.HandshakeTimeout)
	defer cancel()

	c := newConn(o)
	var refused *HandshakeError
	d := ws.Dialer{
		Protocols: o.Protocols,
		Header:    ws.HandshakeHeaderHTTP(o.header()),
		TLSConfig: o.TLS,
		NetDial: func(ctx context.Context, network, address string) (net.Conn, error) {
			nc, err := o.NetDial(ctx, network, address)
			c.socket = nc
			return nc, err
		},
		WrapConn: func(nc net.Conn) net.Conn {
			c.nc = nc
			return &boundedConn{Conn: nc, left: maxHandshakeBytes}
		},
		OnStatusError: func(status int, _ []byte, answer io.Reader) { refused = readRefusal(status, answer) },
	}
	_, early, hs, err := d.Dial(ctx, address)
	switch {
	case refused != nil:
		return nil, refused
	case ctx.Err() != nil && err != nil:
		return nil, fmt.Errorf("connect: %w", ctx.Err())
	case err != nil:
		return nil, fmt.Errorf("connect: %w", err)
	}
	c.Protocol = hs.Protocol
	var in io.Reader = &liveReader{c}
	if early != nil { // frames that came with the answer
		b, _ := early.Peek(early.Buffered())
		in = io.MultiReader(bytes.NewReader(bytes.Clone(b)), in)
		ws.PutReader(early)
	}
	c.br = bufio.NewReader(in)
	return c, nil
}

func readRefusal(status int, answer io.Reader) *HandshakeError {
	e := &HandshakeError{Status: status}
	r, err := http.ReadResponse(bufio.NewReader(answer), nil)
	if err != nil {
		return e
	}
	defer func() { _ = r.Body.Close() }()
	e.Header = r.Header
	e.Body, _ = io.ReadAll(io.LimitReader(r.Body, maxBodyBytes))
	var problem struct {
		Detail string `json:"detail"`
	}
	if json.Unmarshal(e.Body, &problem) == nil {
		e.Detail = problem.Detail
	}
	return e
}

var errLongHandshake = errors.New("the answer to the handshake is too long")

// boundedConn lets a server say so much and no more: an answer's headers have
// no bound of their own in ws.Dialer.
type boundedConn struct {
	net.Conn
	left int
}

func (c *boundedConn) Read(p []byte) (int, error) {
	if c.left == 0 {
		return 0, errLongHandshake
	}
	n, err := c.Conn.Read(p[:min(len(p), c.left)])
	c.left -= n
	return n, err
}
