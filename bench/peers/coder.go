package main

import (
	"context"
	"net/http"
	"time"

	"github.com/coder/websocket"
)

// coder is a hub on github.com/coder/websocket, after the chat of its examples:
// the handler reads, and another goroutine writes.
type coder struct{ hub *hub[[]byte] }

func newCoder(o options) http.Handler {
	return coder{newHub(o, func(text []byte) []byte { return text })}
}

func (c coder) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	m := c.hub.newMember(w, r)
	if m == nil {
		return
	}
	conn, err := websocket.Accept(w, r, nil)
	if err != nil {
		return // it has answered
	}
	defer func() {
		m.end()
		_ = conn.CloseNow()
	}()
	go writeCoder(conn, m.out, m.hub.ping)
	conn.SetReadLimit(messageBytes)
	m.join(nil)
	for {
		_, text, err := conn.Read(context.Background())
		if err != nil {
			return
		}
		m.receive(text)
	}
}

func writeCoder(conn *websocket.Conn, out *outbox[[]byte], every time.Duration) {
	ping := time.NewTicker(every)
	defer func() {
		ping.Stop()
		_ = conn.CloseNow()
	}()
	var all [][]byte
	for {
		select {
		case <-out.ready:
			var open bool
			if all, open = out.take(all); !open {
				return
			}
			for _, text := range all {
				if writeText(conn, text) != nil {
					return
				}
			}
		case <-ping.C:
			go pingCoder(conn)
		}
	}
}

func writeText(conn *websocket.Conn, text []byte) error {
	ctx, cancel := context.WithTimeout(context.Background(), writeTimeout)
	defer cancel()
	return conn.Write(ctx, websocket.MessageText, text)
}

// pingCoder waits for the pong: a connection without one is given up.
func pingCoder(conn *websocket.Conn) {
	ctx, cancel := context.WithTimeout(context.Background(), writeTimeout)
	defer cancel()
	if conn.Ping(ctx) != nil {
		_ = conn.CloseNow()
	}
}
