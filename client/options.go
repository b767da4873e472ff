package client

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"rollcall/protocol"
)

// Options say who connects and how. The zero value works.
type Options struct {
	Rooms []string // joined by connecting, in this order; see docs/protocol.md §2
	User  string   // empty: the server makes one up
	Name  string   // the display name
	Data  any      // what every join without data of its own carries, as JSON; nil: nothing
	Token string   // sent as Authorization: Bearer; empty: none

	// Resume is the token of an earlier Welcome: the client comes back as that
	// session, if it can. Within its life a Client sees to that by itself.
	Resume string
	// Heartbeat promises the server a ping that often, 1s to 5m, and keeps the
	// promise while Events are read: a program that hangs is then shown as
	// unresponsive. 0: no promise.
	Heartbeat time.Duration
	// Trace is called with every message of the server, Welcome and answers too,
	// in order, before anything is made of it, by the goroutine that reads: it
	// must neither wait nor change the message. Nil: nothing is called.
	Trace func(protocol.Message)

	Header http.Header // more headers of the handshake
	// Protocols are the sub-protocols to offer. Nil: protocol.Subprotocol.
	Protocols []string
	TLS       *tls.Config // for wss; nil: the default
	// NetDial replaces net.Dialer.DialContext.
	NetDial func(ctx context.Context, network, address string) (net.Conn, error)

	// HandshakeTimeout bounds connecting, welcome included. Default 10s.
	HandshakeTimeout time.Duration
	// CloseTimeout bounds the wait for the server's part of a close. Default 5s.
	CloseTimeout time.Duration
	// WriteTimeout bounds each write; a connection that takes longer is broken.
	// Default 10s.
	WriteTimeout time.Duration
	// Quiet is the silence of the server after which the client pings it; after
	// as much again the connection is lost. 0: the heartbeat of its welcome.
	// Negative: never.
	Quiet time.Duration
	// MaxBytes is the longest message taken from the server. Default 16 MiB: a
	// snapshot lists every member with its data.
	MaxBytes int
	// Events is how many events may wait to be read before the client stops
	// reading from the server. Default 256.
	Events int

	// NoReconnect ends a Client with its first connection.
	NoReconnect bool
	// MinBackoff and MaxBackoff bound the random wait before a reconnect: it is
	// below MinBackoff at first, and the bound doubles with each failure up to
	// MaxBackoff. Default 500ms and 20s.
	MinBackoff, MaxBackoff time.Duration
}

func (o Options) withDefaults() Options {
	if o.Protocols == nil {
		o.Protocols = []string{protocol.Subprotocol}
	}
	if o.NetDial == nil {
		o.NetDial = new(net.Dialer).DialContext
	}
	o.HandshakeTimeout = orDefault(o.HandshakeTimeout, 10*time.Second)
	o.CloseTimeout = orDefault(o.CloseTimeout, 5*time.Second)
	o.WriteTimeout = orDefault(o.WriteTimeout, 10*time.Second)
	o.MaxBytes = orDefault(o.MaxBytes, 16<<20)
	o.Events = orDefault(o.Events, 256)
	o.MinBackoff = orDefault(o.MinBackoff, 500*time.Millisecond)
	o.MaxBackoff = max(orDefault(o.MaxBackoff, 20*time.Second), o.MinBackoff)
	return o
}

func orDefault[T int | time.Duration](v, otherwise T) T {
	if v <= 0 {
		return otherwise
	}
	return v
}

// address is the URL to connect to: http and https stand for ws and wss, a
// missing path for /ws, and the options become its query, beside what it has.
func (o Options) address(rawURL string) (string, error) {
	u, err := url.Parse(rawURL)
	if err != nil {
		return "", fmt.Errorf("server address: %w", err)
	}
	switch u.Scheme {
	case "http":
		u.Scheme = "ws"
	case "https":
		u.Scheme = "wss"
	case "ws", "wss":
	default:
		return "", fmt.Errorf("server address %q: must begin with ws://, wss://, http:// or https://", u.Redacted())
	}
	if u.Host == "" {
		return "", fmt.Errorf("server address %q: names no host", u.Redacted())
	}
	if u.Path == "" || u.Path == "/" {
		u.Path = "/ws"
	}
	u.Fragment = ""
	q := u.Query()
	for _, room := range o.Rooms {
		if !protocol.ValidRoom(room) {
			return "", fmt.Errorf("room %q: not a room's name", room)
		}
		q.Add("room", room)
	}
	if o.User != "" {
		q.Set("user", o.User)
	}
	if o.Name != "" {
		q.Set("name", o.Name)
	}
	if o.Data != nil {
		data, err := encode(o.Data)
		if err != nil {
			return "", err
		}
		q.Set("data", string(data))
	}
	if o.Resume != "" {
		q.Set("resume", o.Resume)
	}
	if o.Heartbeat != 0 {
		if o.Heartbeat < time.Second || o.Heartbeat > 5*time.Minute {
			return "", fmt.Errorf("heartbeat of %s: must be 1s to 5m", o.Heartbeat)
		}
		q.Set("heartbeat_ms", strconv.FormatInt(o.Heartbeat.Milliseconds(), 10))
	}
	u.RawQuery = q.Encode()
	return u.String(), nil
}

func (o *Options) trace(m protocol.Message) {
	if o.Trace != nil && m != nil {
		o.Trace(m)
	}
}

func (o Options) header() http.Header {
	h := o.Header.Clone()
	if h == nil {
		h = http.Header{}
	}
	if o.Token != "" {
		h.Set("Authorization", "Bearer "+o.Token)
	}
	return h
}

// encode makes JSON of v. A json.RawMessage travels byte for byte.
func encode(v any) (json.RawMessage, error) {
	raw, ok := v.(json.RawMessage)
	if !ok {
		var err error
		if raw, err = json.Marshal(v); err != nil {
			return nil, fmt.Errorf("encode data: %w", err)
		}
	}
	if !protocol.ValidData(raw) {
		return nil, errors.New("encode data: not JSON, nested too deeply, or with the same name twice in an object")
	}
	return raw, nil
}
