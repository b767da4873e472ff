package main

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"time"

	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsutil"
)

// gobwas is a hub on net/http and github.com/gobwas/ws: a goroutine that reads
// with wsutil, and one that writes. A message is compiled into a frame once for
// all.
type gobwas struct{ hub *hub[[]byte] }

func newGobwas(o options) http.Handler {
	return gobwas{newHub(o, func(text []byte) []byte { return ws.MustCompileFrame(ws.NewTextFrame(text)) })}
}

func (g gobwas) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	m := g.hub.newMember(w, r)
	if m == nil {
		return
	}
	conn, rw, _, err := ws.UpgradeHTTP(r, w)
	if err != nil {
		if conn != nil {
			_ = conn.Close() // it has answered, and leaves the connection to us
		}
		return
	}
	go writeGobwas(conn, m.out, m.hub.ping)
	go readGobwas(conn, rw.Reader, m)
}

// readGobwas reads by the buffer of net/http, which may hold the first frames.
func readGobwas(conn net.Conn, from *bufio.Reader, m *member[[]byte]) {
	defer func() {
		m.end()
		_ = conn.Close()
	}()
	m.join(nil)
	control := wsutil.ControlFrameHandler(conn, ws.StateServerSide)
	frames := wsutil.Reader{
		Source: from, State: ws.StateServerSide, CheckUTF8: true,
		MaxFrameSize: messageBytes, MaxMessageSize: messageBytes, OnIntermediate: control,
	}
	for {
		_ = conn.SetReadDeadline(time.Now().Add(pongTimeout))
		header, err := frames.NextFrame()
		if err != nil {
			return
		}
		if header.OpCode.IsControl() {
			if control(header, &frames) != nil {
				return
			}
			continue
		}
		text, err := io.ReadAll(&frames)
		if err != nil {
			return
		}
		m.receive(text)
	}
}

func writeGobwas(conn net.Conn, out *outbox[[]byte], every time.Duration) {
	ping := time.NewTicker(every)
	defer func() {
		ping.Stop()
		_ = conn.Close()
	}()
	var all [][]byte
	for {
		select {
		case <-out.ready:
			var open bool
			if all, open = out.take(all); !open {
				return
			}
			for _, frame := range all {
				if writeFrame(conn, frame) != nil {
					return
				}
			}
		case <-ping.C:
			if writeFrame(conn, ws.CompiledPing) != nil {
				return
			}
		}
	}
}

// writeFrame writes a whole frame at once: the reader's answers to control
// frames may come between two of them.
func writeFrame(conn net.Conn, frame []byte) error {
	_ = conn.SetWriteDeadline(time.Now().Add(writeTimeout))
	_, err := conn.Write(frame)
	return err
}
