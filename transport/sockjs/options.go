package sockjs

import (
	"fmt"
	"math"
	"net/http"
	"time"

	"rollcall/transport"
)

// Client is who asks for a connection.
type Client struct {
	Session   string // the client's name for it, as it is in the URL; "" for the raw WebSocket
	Transport string // "websocket", "xhr", …; "raw" for the raw WebSocket
	Raw       bool   // frames are plain ones, and not AppendText's
}

// Options are the knobs of a Service. Zero durations and sizes take their
// defaults.
type Options struct {
	// Prefix is the path of the service, without a slash at its end.
	Prefix string
	// Wire serves the WebSockets, and counts all connections against its
	// limit. Required.
	Wire *transport.Server
	// Accept gives a new connection its handler, or a refusal to answer with.
	// Required.
	Accept func(r *http.Request, c Client) (transport.Handler, *transport.Refusal)
	// Protocols are the sub-protocols of the raw WebSocket, the best first.
	Protocols []string
	// Origins says which pages may connect: Wire's.
	Origins transport.Origins
	// Stats counts; nil: nobody looks.
	Stats *Stats

	// MessageBytes is the largest message of a client; a larger one is a
	// violation (1009). A frame, or a request's body, may bring several, and has
	// about eight times as many bytes. Default 64 KiB.
	MessageBytes int
	// Farewell is what a handler of Accept's has to say before its connection is
	// closed for a broken rule, as frames of AppendText; nil: nothing.
	Farewell func(h transport.Handler, code uint16) []byte
	// OutboundBytes is how much may wait for a client before it is cut as Slow,
	// besides one larger Write. Default 256 KiB.
	OutboundBytes int
	// Heartbeat is how long a receiver waits before it gets a heartbeat frame.
	// Default 25s.
	Heartbeat time.Duration
	// DisconnectDelay is how long a session lives without a receiver, and how
	// long a closed one tells of its end. Default 5s.
	DisconnectDelay time.Duration
	// ResponseLimit is how many bytes of frames a streaming response has before
	// the client has to ask for another, as browsers keep all of it. Default
	// 128 KiB.
	ResponseLimit int
	// WriteTimeout is how long a client may take for a part of a response.
	// Default 30s.
	WriteTimeout time.Duration
	// ClientURL is the script of the iframe page, a path or a URL; "" is the
	// one that comes with this package.
	ClientURL string
	// NoWebSocket takes the WebSocket away, for networks that break it.
	NoWebSocket bool
	// Cookie sets JSESSIONID, for load balancers that go by it.
	Cookie bool
}

// quoted is how many bytes a message of the largest size may become on its way:
// a control character is six bytes in JSON, and eight where that is in a form;
// and there is the array around it.
func (o *Options) quoted() int { return 8*o.MessageBytes + 64 }

func (o Options) withDefaults() (Options, error) {
	if o.Wire == nil || o.Accept == nil {
		return o, fmt.Errorf("sockjs: Wire and Accept are required")
	}
	if o.Farewell == nil {
		o.Farewell = func(transport.Handler, uint16) []byte { return nil }
	}
	if o.Stats == nil {
		o.Stats = NewStats()
	}
	for _, n := range []struct {
		name  string
		value *int
		zero  int
	}{
		{"MessageBytes", &o.MessageBytes, 64 << 10},
		{"OutboundBytes", &o.OutboundBytes, 256 << 10},
		{"ResponseLimit", &o.ResponseLimit, 128 << 10},
	} {
		if *n.value == 0 {
			*n.value = n.zero
		}
		if *n.value < 1 || *n.value > math.MaxInt32 {
			return o, fmt.Errorf("sockjs: %s = %d, must be at least 1 (or 0), and fit into 31 bits", n.name, *n.value)
		}
	}
	for _, d := range []struct {
		name  string
		value *time.Duration
		zero  time.Duration
	}{
		{"Heartbeat", &o.Heartbeat, 25 * time.Second},
		{"DisconnectDelay", &o.DisconnectDelay, 5 * time.Second},
		{"WriteTimeout", &o.WriteTimeout, 30 * time.Second},
	} {
		if *d.value == 0 {
			*d.value = d.zero
		}
		if *d.value < 0 {
			return o, fmt.Errorf("sockjs: %s = %s, must not be negative", d.name, *d.value)
		}
	}
	return o, nil
}
