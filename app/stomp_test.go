package app

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"rollcall/actors"
	"rollcall/config"
	"rollcall/engine/local"
	"rollcall/internal/logs"
	"rollcall/protocol"
	"rollcall/protocol/stomp"
)

// counting is a connection that says when a snapshot or a message has come.
type counting struct{ joined, came *sync.WaitGroup }

func (c counting) Write(b []byte, _ int) {
	for range bytes.Count(b, []byte(`"type":"joined"`)) {
		c.joined.Done()
	}
	for range bytes.Count(b, []byte(`"text":"`)) {
		c.came.Done()
	}
}
func (counting) Close(uint16, string) {}
func (counting) Pause()               {}
func (counting) Soon(f func())        { go f() }
func (counting) Resume()              {}

// deaf is a connection that nobody reads.
type deaf struct{}

func (deaf) Write([]byte, int)    {}
func (deaf) Close(uint16, string) {}
func (deaf) Pause()               {}
func (deaf) Resume()              {}
func (deaf) Soon(f func())        { go f() }

// Frames that ask nothing of a room keep a client's promise of heart-beats, too.
func TestAnythingThatComesIsLiveness(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		{"a heart-beat", "\n", "active"},
		{"a part of a frame", "X", "active"},
		{"an ACK", "ACK\nid:x\n\n\x00", "active"},
		{"a frame of a transaction", "SEND\ndestination:/topic/r\ntransaction:t\n\n\x00\n", "active"},
		{"nothing", "", "unresponsive"},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				lg, err := logs.New(io.Discard, logs.Options{Format: "json", Level: "warn"})
				require.NoError(t, err)
				s := actors.New(actors.Options{Engine: local.New(local.Options{Messages: 100, Bytes: 1 << 20}), Log: lg})
				defer func() { require.NoError(t, s.Stop(t.Context())) }()
				kim := newStompClient(&App{cfg: config.Default(), system: s, log: lg}, textFrames{}, &hello{}, "", "")
				kim.open(deaf{})
				defer func() { kim.gone(protocol.ReasonClosed, protocol.CloseNormal, "") }()
				kim.receive([]byte("CONNECT\naccept-version:1.2\nheart-beat:1000,0\n\n\x00BEGIN\ntransaction:t\n\n\x00"))
				for range 5 {
					time.Sleep(time.Second)
					if c.text != "" {
						kim.receive([]byte(c.text))
					}
				}
				info, err := s.Session(kim.known().ID())
				require.NoError(t, err)
				require.EqualValues(t, c.want, info.State)
			})
		})
	}
}

// BenchmarkFanout is one message to 1,000 members of a room, connections
// simulated: native ones, STOMP ones with the same subscription id, and STOMP
// ones with an id each.
func BenchmarkFanout(b *testing.B) {
	const members = 1000
	for _, kind := range []string{"native", "stomp", "stomp, an id each"} {
		b.Run(kind, func(b *testing.B) {
			lg, err := logs.New(io.Discard, logs.Options{Format: "json", Level: "warn"})
			require.NoError(b, err)
			s := actors.New(actors.Options{Engine: local.New(local.Options{Messages: 100, Bytes: 1 << 20}), Log: lg})
			defer func() { require.NoError(b, s.Stop(context.Background())) }()
			var came, joined sync.WaitGroup
			for i := range members {
				conn := counting{&joined, &came}
				joined.Add(1)
				if kind == "native" {
					c := s.Connect(actors.ClientOptions{Connection: conn, Encoding: native{}, User: fmt.Sprint("u", i)})
					c.Start(conn, []string{"r"})
					continue
				}
				id := "sub-0"
				if kind != "stomp" {
					id = fmt.Sprint("sub-", i)
				}
				c := s.Connect(actors.ClientOptions{Connection: conn, Encoding: &answers{joined.Done}, User: fmt.Sprint("u", i)})
				c.Start(conn, nil)
				join := &protocol.Join{Request: protocol.Request{ID: 1, Room: "r"}}
				c.Subscribe(conn, join, stompStream{textFrames{}, stomp.Stream{Version: stomp.V12, ID: id, Room: "r"}}, 0)
			}
			joined.Wait()
			post := actors.Post{Room: "r", User: "api", Name: "api", Data: json.RawMessage(`{"text":"it is about a hundred bytes that people write to each other on average, they say"}`)}
			b.ReportAllocs()
			for b.Loop() {
				came.Add(members)
				if _, err := s.Post(context.Background(), post); err != nil {
					b.Fatal(err)
				}
				came.Wait()
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/members, "ns/delivery")
		})
	}
}

// answers is the encoding of a client that waits for its OK.
type answers struct{ ok func() }

func (a *answers) Append(b []byte, m protocol.Message) []byte {
	if _, ok := m.(*protocol.OK); ok {
		a.ok()
	}
	return b
}
