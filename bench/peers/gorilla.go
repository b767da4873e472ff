package main

import (
	"bytes"
	"net/http"
	"time"

	"github.com/gorilla/websocket"
)

// gorilla is the chat of github.com/gorilla/websocket's examples with rooms: a
// goroutine that reads and one that writes. A message that is alone is a
// PreparedMessage, made once for all; messages that wait together are joined by
// newlines in one, as the example does.
type gorilla struct{ hub *hub[*outgoing] }

// outgoing is a message in both forms in which it may be written.
type outgoing struct {
	text     []byte
	prepared *websocket.PreparedMessage
}

// joinedMessages is how many messages are joined at most: as many as the
// example's queue holds.
const joinedMessages = 256

var upgrader = websocket.Upgrader{ReadBufferSize: 1024, WriteBufferSize: 1024}

func newGorilla(o options) http.Handler {
	return gorilla{newHub(o, func(text []byte) *outgoing {
		prepared, err := websocket.NewPreparedMessage(websocket.TextMessage, text)
		if err != nil {
			panic(err) // only for messages of unknown types
		}
		return &outgoing{text, prepared}
	})}
}

func (g gorilla) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	m := g.hub.newMember(w, r)
	if m == nil {
		return
	}
	conn, err := upgrader.Upgrade(w, r, nil)
	if err != nil {
		return // it has answered
	}
	go writeGorilla(conn, m.out, m.hub.ping)
	go readGorilla(conn, m)
}

func readGorilla(conn *websocket.Conn, m *member[*outgoing]) {
	defer func() {
		m.end()
		_ = conn.Close()
	}()
	alive := func(string) error { return conn.SetReadDeadline(time.Now().Add(pongTimeout)) }
	conn.SetReadLimit(messageBytes)
	conn.SetPongHandler(alive)
	_ = alive("")
	m.join(nil)
	for {
		_, text, err := conn.ReadMessage()
		if err != nil {
			return
		}
		m.receive(text)
	}
}

func writeGorilla(conn *websocket.Conn, out *outbox[*outgoing], every time.Duration) {
	ping := time.NewTicker(every)
	defer func() {
		ping.Stop()
		_ = conn.Close()
	}()
	var all []*outgoing
	for {
		select {
		case <-out.ready:
			var open bool
			if all, open = out.take(all); !open {
				return
			}
			for rest := all; len(rest) > 0; {
				n := min(len(rest), joinedMessages)
				if writeTogether(conn, rest[:n]) != nil {
					return
				}
				rest = rest[n:]
			}
		case <-ping.C:
			if conn.WriteControl(websocket.PingMessage, nil, time.Now().Add(writeTimeout)) != nil {
				return
			}
		}
	}
}

// writeTogether writes messages as one.
func writeTogether(conn *websocket.Conn, all []*outgoing) error {
	_ = conn.SetWriteDeadline(time.Now().Add(writeTimeout))
	if len(all) == 1 {
		return conn.WritePreparedMessage(all[0].prepared)
	}
	texts := make([][]byte, len(all))
	for i, m := range all {
		texts[i] = m.text
	}
	return conn.WriteMessage(websocket.TextMessage, bytes.Join(texts, []byte{'\n'}))
}
