// Package raw is a WebSocket client for tests that sends exactly the bytes it
// is told to, right or wrong, and shows what comes back frame by frame.
package raw

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/gobwas/ws"
)

// Patience is how long a read may take before the test has failed.
const Patience = 20 * time.Second

// Frame is one frame as a client sends it: final and masked unless it says
// otherwise.
type Frame struct {
	Op       ws.OpCode
	Payload  string
	More     bool // not final
	Rsv      byte // the three reserved bits
	Unmasked bool
}

// mask is any but zero, so that a server that forgets it is seen.
var mask = [4]byte{0xa1, 0x5c, 0x37, 0xf0}

// Append appends the frame to b.
func (f Frame) Append(b []byte) []byte {
	first := f.Rsv<<4 | byte(f.Op)
	if !f.More {
		first |= 0x80
	}
	var masked byte
	if !f.Unmasked {
		masked = 0x80
	}
	switch n := len(f.Payload); {
	case n < 126:
		b = append(b, first, masked|byte(n))
	case n < 1<<16:
		b = append(b, first, masked|126, byte(n>>8), byte(n))
	default:
		b = append(b, first, masked|127)
		b = binary.BigEndian.AppendUint64(b, uint64(n))
	}
	if f.Unmasked {
		return append(b, f.Payload...)
	}
	b = append(b, mask[:]...)
	at := len(b)
	b = append(b, f.Payload...)
	ws.Cipher(b[at:], mask, 0)
	return b
}

// Bytes puts frames, and raw bytes given as strings, one behind the other.
func Bytes(parts ...any) []byte {
	var b []byte
	for _, p := range parts {
		switch p := p.(type) {
		case Frame:
			b = p.Append(b)
		case []Frame:
			for _, f := range p {
				b = f.Append(b)
			}
		case string:
			b = append(b, p...)
		case []byte:
			b = append(b, p...)
		default:
			panic(fmt.Sprintf("raw: %T is neither a frame nor bytes", p))
		}
	}
	return b
}

// Text is a text message of one frame.
func Text(s string) Frame { return Frame{Op: ws.OpText, Payload: s} }

// Binary is a binary message of one frame.
func Binary(s string) Frame { return Frame{Op: ws.OpBinary, Payload: s} }

// Ping is a ping.
func Ping(s string) Frame { return Frame{Op: ws.OpPing, Payload: s} }

// Pong is a pong.
func Pong(s string) Frame { return Frame{Op: ws.OpPong, Payload: s} }

// Continue is a final continuation frame.
func Continue(s string) Frame { return Frame{Op: ws.OpContinuation, Payload: s} }

// Part is f, but not final.
func Part(f Frame) Frame { f.More = true; return f }

// Close is a close frame with a code.
func Close(code uint16, reason string) Frame {
	return CloseRaw(string(binary.BigEndian.AppendUint16(nil, code)) + reason)
}

// CloseRaw is a close frame with any payload.
func CloseRaw(payload string) Frame { return Frame{Op: ws.OpClose, Payload: payload} }

// Client is one end of a WebSocket.
type Client struct {
	net.Conn
	Reader *bufio.Reader
}

// Request is a handshake that servers accept.
func Request(host string, headers ...string) string {
	lines := append([]string{
		"GET / HTTP/1.1", "Host: " + host, "Upgrade: websocket", "Connection: Upgrade",
		"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", "Sec-WebSocket-Version: 13",
	}, headers...)
	return strings.Join(lines, "\r\n") + "\r\n\r\n"
}

// Dial connects, with TLS when config is not nil, and upgrades. early is sent in
// one write with the request.
func Dial(addr string, config *tls.Config, early []byte, headers ...string) (*Client, error) {
	c, resp, err := Send(addr, config, append([]byte(Request(addr, headers...)), early...))
	if err != nil {
		return nil, err
	}
	_ = resp.Body.Close()
	if resp.StatusCode != http.StatusSwitchingProtocols {
		_ = c.Close()
		return nil, fmt.Errorf("raw: upgrade answered %s", resp.Status)
	}
	return c, nil
}

// Send connects, sends bytes and reads the head of an HTTP response.
func Send(addr string, config *tls.Config, b []byte) (*Client, *http.Response, error) {
	nc, err := net.DialTimeout("tcp", addr, Patience)
	if err != nil {
		return nil, nil, err
	}
	if config != nil {
		nc = tls.Client(nc, config)
	}
	c := &Client{nc, bufio.NewReader(nc)}
	if _, err = nc.Write(b); err == nil {
		_ = nc.SetReadDeadline(time.Now().Add(Patience))
		var resp *http.Response
		if resp, err = http.ReadResponse(c.Reader, nil); err == nil {
			return c, resp, nil
		}
	}
	_ = nc.Close()
	return nil, nil, err
}

// Next reads one frame of the server, which must be final, unmasked and without
// reserved bits.
func (c *Client) Next() (ws.OpCode, []byte, error) {
	_ = c.SetReadDeadline(time.Now().Add(Patience))
	h, err := ws.ReadHeader(c.Reader)
	if err != nil {
		return 0, nil, err
	}
	if !h.Fin || h.Masked || h.Rsv != 0 {
		return 0, nil, fmt.Errorf("raw: server sent header %+v", h)
	}
	p := make([]byte, h.Length)
	_, err = io.ReadFull(c.Reader, p)
	return h.OpCode, p, err
}

// Show reads one frame and puts it into words: "text abc", "pong", "close 1000
// bye", "end" for the end of the stream, "reset" and whatever else went wrong.
func (c *Client) Show() string {
	op, p, err := c.Next()
	var timeout net.Error
	switch {
	case errors.Is(err, io.EOF):
		return "end"
	case errors.As(err, &timeout) && timeout.Timeout():
		return "nothing"
	case err != nil:
		return err.Error()
	}
	name := map[ws.OpCode]string{ws.OpText: "text", ws.OpBinary: "binary", ws.OpPing: "ping", ws.OpPong: "pong", ws.OpClose: "close"}[op]
	if op == ws.OpClose && len(p) >= 2 {
		name = fmt.Sprintf("close %d", binary.BigEndian.Uint16(p))
		p = p[2:]
	}
	return strings.TrimSuffix(name+" "+string(p), " ")
}

// EndWrites tells the server that nothing follows.
func (c *Client) EndWrites() error {
	return c.Conn.(interface{ CloseWrite() error }).CloseWrite()
}

// Certificate makes a certificate for 127.0.0.1 and the client's side of it.
func Certificate() (server, client *tls.Config, err error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	now := time.Now()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"},
		NotBefore: now.Add(-time.Hour), NotAfter: now.Add(24 * time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, nil, err
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, nil, err
	}
	roots := x509.NewCertPool()
	roots.AddCert(leaf)
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}, MinVersion: tls.VersionTLS12},
		&tls.Config{RootCAs: roots, ServerName: "127.0.0.1", MinVersion: tls.VersionTLS12}, nil
}
