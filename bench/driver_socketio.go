package bench

import (
	"bytes"
	"context"
)

// socketIO is the hub of bench/peers/node that is made with Socket.IO. Its
// dialect is Socket.IO 5 in Engine.IO 4, by WebSocket only.
type socketIO struct{}

func (socketIO) Name() string { return "socketio" }

func (socketIO) Start(ctx context.Context, o StartOptions) (*Target, error) {
	return startNodeHub(ctx, "socketio.js", "socket.io", o)
}

func (socketIO) Handshake(c *Client) (target, header string) {
	return "/socket.io/?EIO=4&transport=websocket&user=" + c.User + "&room=" + c.Room, ""
}

// The packets without data.
var (
	socketIOConnect = []string{"40"}
	socketIOPong    = []string{"3"}
)

func (socketIO) Opening(*Client) []string { return socketIOConnect }

func (socketIO) Publish(dst []byte, _ *Client, body []byte) []byte {
	dst = append(dst, `42["publish","`...)
	dst = append(dst, body...)
	return append(dst, `"]`...)
}

func (socketIO) Join(dst []byte, _ *Client, data []byte) []byte {
	dst = append(dst, `42["join",`...)
	return append(append(dst, data...), ']')
}

func (socketIO) Update(dst []byte, _ *Client, data []byte) []byte {
	dst = append(dst, `42["update",`...)
	return append(append(dst, data...), ']')
}

func (socketIO) Leave(dst []byte, _ *Client) []byte {
	return append(dst, `42["leave"]`...)
}

func (socketIO) Read(_ *Client, m []byte) Event {
	switch kind, found := bytes.CutPrefix(m, []byte(`42["`)); {
	case !found && string(m) == "2": // a ping
		return Event{Reply: socketIOPong}
	case !found && (bytes.HasPrefix(m, []byte("44")) || bytes.HasPrefix(m, []byte("41"))): // may not connect, or is disconnected
		return Event{Kind: Refused}
	case bytes.HasPrefix(kind, []byte(`message"`)):
		return Event{Kind: Message}
	case bytes.HasPrefix(kind, []byte(`update"`)):
		return Event{Kind: Presence}
	case bytes.HasPrefix(kind, []byte(`join"`)):
		return Event{Kind: Presence, Change: 1}
	case bytes.HasPrefix(kind, []byte(`leave"`)):
		return Event{Kind: Presence, Change: -1}
	case bytes.HasPrefix(kind, []byte(`members"`)):
		return Event{Kind: Joined, Counted: true, Count: int(number(m, `"count":`))}
	case bytes.HasPrefix(kind, []byte(`left"`)):
		return Event{Kind: Left}
	}
	return Event{}
}
