package transport

import (
	"context"
	"net/http"
	"net/http/httptest"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gobwas/ws"
	"github.com/stretchr/testify/require"

	"rollcall/internal/conformance/raw"
)

func itoa(n int) string { return strconv.Itoa(n) }

// A peer that does not read is cut at the bound, and nobody else notices.
func TestSlowPeerIsCutAlone(t *testing.T) {
	everyWay(t, func(t *testing.T, mode string, secure bool) {
		handlers := make(chan *recorder, 2)
		s := serve(t, Options{Mode: mode, OutboundBytes: 256 << 10}, secure, func() Handler {
			r := record(t)
			handlers <- r
			return r
		})
		s.dial(t) // never read
		slow := await(t, handlers, "the slow one")
		healthy := s.dial(t)
		fast := await(t, handlers, "the healthy one")
		toSlow, toFast := await(t, slow.opened, "Open"), await(t, fast.opened, "Open")

		frame := text(strings.Repeat("x", 1000))
		n := 0
		for cut := false; !cut; n++ {
			toSlow.Write(frame, len(frame))
			toFast.Write(frame, len(frame))
			require.Len(t, healthy.Show(), len("text ")+1000, "the healthy one reads on")
			select {
			case e := <-slow.closed:
				require.Equal(t, Slow, e.Cause)
				cut = true
			default:
			}
			require.Less(t, n, 100_000, "nothing bounds what waits for a peer")
		}
		require.Empty(t, fast.closed)
		eventually(t, func() bool { return s.Stats().Open[Plain].Load()+s.Stats().Open[TLS].Load() == 1 }, "the slow one's socket is closed")
		require.EqualValues(t, 1, s.Stats().Ended[Slow].Load())
	})
}

// Under a backlog optional frames are dropped, whole, and counted; what must be
// sent arrives, in order.
func TestOptionalFramesAreDroppedUnderABacklog(t *testing.T) {
	everyWay(t, func(t *testing.T, mode string, secure bool) {
		s, r, c := pair(t, Options{Mode: mode, OutboundBytes: 64 << 20}, secure)
		conn := await(t, r.opened, "Open")
		const rounds = 3000
		var b []byte
		for i := range rounds {
			b = append(b[:0], text("must "+itoa(i)+strings.Repeat("m", i%700))...)
			must := len(b)
			b = append(b, text("may "+itoa(i)+strings.Repeat("o", i%900))...)
			b = append(b, text("may too "+itoa(i))...)
			conn.Write(b, must)
		}
		conn.Write(text("last"), 6)
		musts, mays := 0, 0
		for got := ""; got != "text last"; {
			got = c.Show()
			switch {
			case strings.HasPrefix(got, "text must "):
				require.Equal(t, "text must "+itoa(musts)+strings.Repeat("m", musts%700), got)
				musts++
			case strings.HasPrefix(got, "text may "):
				mays++
			default:
				require.Equal(t, "text last", got)
			}
		}
		require.Equal(t, rounds, musts)
		require.EqualValues(t, 2*rounds, int64(mays)+s.Stats().DroppedFrames.Load())
		require.Positive(t, s.Stats().DroppedFrames.Load())
		require.Positive(t, s.Stats().DroppedBytes.Load())
	})
}

// Bytes keep a connection alive; a frozen one beside it ends.
func TestHeartbeat(t *testing.T) {
	everyWay(t, func(t *testing.T, mode string, secure bool) {
		handlers := make(chan *recorder, 3)
		interval := 60 * time.Millisecond
		s := serve(t, Options{Mode: mode, HeartbeatInterval: interval, HeartbeatTimeout: interval}, secure, func() Handler {
			r := record(t)
			handlers <- r
			return r
		})
		answers := s.dial(t)
		alive := await(t, handlers, "the one that answers")
		paused := await(t, func() chan *recorder { s.dial(t); return handlers }(), "the paused one")
		await(t, paused.opened, "Open").Pause()
		pongs := make(chan struct{})
		go func() {
			defer close(pongs)
			for range 4 {
				if answers.Show() != "ping" {
					t.Error("expected a ping")
				}
				_, _ = answers.Write(raw.Bytes(raw.Pong("")))
			}
		}()
		s.dial(t) // frozen
		frozen := await(t, handlers, "the frozen one")
		require.Equal(t, Silent, await(t, frozen.closed, "the end of the frozen one").Cause)
		await(t, pongs, "four pings")
		require.Empty(t, alive.closed, "one that answers was ended")
		require.Empty(t, paused.closed, "a paused one was ended for being silent")
		require.Positive(t, s.Stats().Heartbeats.Load())
		require.Positive(t, s.Stats().Pongs.Load())
	})
}

// Between Pause and Resume no message comes; after it, all do, in order, also
// those that had been read already.
func TestPauseResume(t *testing.T) {
	everyWay(t, func(t *testing.T, mode string, secure bool) {
		_, r, c := pair(t, Options{Mode: mode}, secure, func(r *recorder) {
			r.onMessage = func(c Conn, _ string) { c.Pause() }
		})
		conn := await(t, r.opened, "Open")
		var want []string
		var b []byte
		for i := range 50 {
			want = append(want, "message "+itoa(i)+strings.Repeat("-", 100*i))
			b = raw.Text(want[i]).Append(b)
			if i%10 == 9 {
				b = raw.Ping(itoa(i)).Append(b)
			}
		}
		go func() { _, _ = c.Write(raw.Bytes(b, raw.Close(1000, ""))) }()
		for i := range want {
			require.Equal(t, want[i], await(t, r.messages, "a message"))
			conn.Write(text("barrier"), 9)
			for c.Show() != "text barrier" {
			}
			require.Empty(t, r.messages, "a message came while paused")
			require.Empty(t, r.closed)
			conn.Resume()
		}
		require.Equal(t, PeerClosed, await(t, r.closed, "Closed").Cause)
	})
}

// What a peer sent before it ended its stream, while nobody read, is not lost,
// and neither is the end.
func TestEndOfStreamWhilePaused(t *testing.T) {
	everyWay(t, func(t *testing.T, mode string, secure bool) {
		handlers := make(chan *recorder, 2)
		s := serve(t, Options{Mode: mode, Loops: 1}, secure, func() Handler {
			r := record(t)
			r.onMessage = func(c Conn, m string) { b := text(m); c.Write(b, len(b)) }
			handlers <- r
			return r
		})
		c := s.dial(t)
		r := await(t, handlers, "the paused one")
		conn := await(t, r.opened, "Open")
		conn.Pause()
		const n = 100 // more reads than one turn of the loop has, over TLS
		for i := range n {
			send(t, c, raw.Text("message "+itoa(i)))
		}
		require.NoError(t, c.EndWrites())
		other := s.dial(t) // its answer shows that the loop has heard of the end
		send(t, other, raw.Text("barrier"))
		require.Equal(t, "text barrier", other.Show())
		require.Empty(t, r.messages)
		require.Empty(t, r.closed)
		conn.Resume()
		for i := range n {
			require.Equal(t, "message "+itoa(i), await(t, r.messages, "a message"))
			require.Equal(t, "text message "+itoa(i), c.Show())
		}
		require.Equal(t, Lost, await(t, r.closed, "Closed").Cause)
		require.Equal(t, "end", c.Show())
	})
}

// A service that answers everything does not hold much for a peer that asks
// without reading, and the peer gets all the answers when it reads.
func TestThrottle(t *testing.T) {
	everyWay(t, func(t *testing.T, mode string, secure bool) {
		const throttle, count, size = 256 << 10, 400, 20_000
		s, _, c := pair(t, Options{Mode: mode, OutboundBytes: throttle + 10*size, ThrottleBytes: throttle}, secure, func(r *recorder) {
			r.onMessage = func(c Conn, m string) { b := text(m); c.Write(b, len(b)) }
		})
		go func() {
			frame := raw.Bytes(raw.Text(strings.Repeat("x", size)))
			for range count {
				if _, err := c.Write(frame); err != nil {
					return
				}
			}
		}()
		eventually(t, func() bool { return s.Stats().Messages.Load() > throttle/size }, "messages")
		for range count {
			require.Len(t, c.Show(), len("text ")+size)
		}
		require.Zero(t, s.Stats().Ended[Slow].Load())
	})
}

// Connections come and go, descriptors are used again, and those who still
// write to an old connection reach nobody else.
func TestChurn(t *testing.T) {
	everyWay(t, func(t *testing.T, mode string, secure bool) {
		var mu sync.Mutex
		var all []*recorder
		var conns []Conn
		s := serve(t, Options{Mode: mode, OutboundBytes: 1 << 30}, secure, func() Handler {
			mu.Lock()
			defer mu.Unlock()
			r := record(t)
			r.onOpen = func(c Conn) {
				mu.Lock()
				defer mu.Unlock()
				conns = append(conns, c)
			}
			all = append(all, r)
			return r
		})
		stop := make(chan struct{})
		var work, writer sync.WaitGroup
		writer.Go(func() { // writes to everyone of late, gone or not, their number
			for {
				select {
				case <-stop:
					return
				default:
				}
				mu.Lock()
				first := max(0, len(conns)-100)
				recent := conns[first:]
				mu.Unlock()
				for i, c := range recent {
					b := text("owner " + itoa(first+i))
					c.Write(b, 0)
				}
				runtime.Gosched()
			}
		})
		const workers, rounds = 8, 15
		for w := range workers {
			work.Go(func() {
				for i := range rounds {
					c, err := raw.Dial(s.addr, s.client, nil)
					if err != nil {
						t.Error(err)
						return
					}
					owner := c.Show()
					for range 10 {
						if got := c.Show(); got != owner || !strings.HasPrefix(got, "text owner ") {
							t.Errorf("frames %q and %q on one connection", owner, got)
						}
					}
					switch (w + i) % 3 {
					case 0:
						_, _ = c.Write(raw.Bytes(raw.Close(1000, "")))
					case 1:
						reset(t, c)
					}
					_ = c.Close()
				}
			})
		}
		work.Wait()
		mu.Lock()
		came := slices.Clone(all)
		mu.Unlock()
		for i, r := range came {
			await(t, r.closed, "the end of connection "+itoa(i))
		}
		close(stop)
		writer.Wait()
		require.Len(t, came, workers*rounds)
		eventually(t, func() bool { return s.Stats().Open[Plain].Load()+s.Stats().Open[TLS].Load() == 0 }, "all sockets are closed")
	})
}

func TestShutdownWaitsForTheLast(t *testing.T) {
	everyWay(t, func(t *testing.T, mode string, secure bool) {
		s, r, c := pair(t, Options{Mode: mode}, secure)
		await(t, r.opened, "Open")
		done := make(chan error, 1)
		go func() { done <- s.Shutdown(t.Context()) }()
		eventually(t, func() bool { _, refusal := s.Check(handshake()); return refusal != nil && refusal.Status == 503 }, "new ones are refused")
		require.Empty(t, done)
		s.CloseAll(1001, "going away")
		require.Equal(t, "close 1001 going away", c.Show())
		require.Empty(t, done)
		send(t, c, raw.Close(1001, ""))
		require.NoError(t, c.Close())
		require.NoError(t, await(t, done, "Shutdown"))
		require.Equal(t, Local, await(t, r.closed, "Closed").Cause)
		require.ErrorIs(t, s.Shutdown(t.Context()), ErrServerClosed)
	})
}

// handshake is a request that passes Check.
func handshake(headers ...string) *http.Request {
	r, _ := http.NewRequestWithContext(context.Background(), http.MethodGet, "http://chat.example/ws", nil)
	for _, h := range append([]string{
		"Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", "Sec-WebSocket-Version: 13",
	}, headers...) {
		name, value, _ := strings.Cut(h, ": ")
		r.Header.Add(name, value)
	}
	return r
}

func TestConnectionsAreLimited(t *testing.T) {
	everyWay(t, func(t *testing.T, mode string, secure bool) {
		s := serve(t, Options{Mode: mode, Connections: 2}, secure, func() Handler { return record(t) })
		s.dial(t)
		c := s.dial(t)
		_, resp, err := raw.Send(s.addr, s.client, []byte(raw.Request(s.addr)))
		require.NoError(t, err)
		require.Equal(t, http.StatusServiceUnavailable, resp.StatusCode)
		require.EqualValues(t, 1, s.Stats().Refused[RefusedFull].Load())
		send(t, c, raw.Close(1000, ""))
		for c.Show() != "end" {
		}
		_ = c.Close()
		eventually(t, func() bool { _, refusal := s.Check(handshake()); return refusal == nil }, "room for another")
		s.dial(t)
	})
}

// Sub-protocols: chosen when offered, assumed when nothing is, else refused.
func TestProtocolRule(t *testing.T) {
	for _, x := range []struct {
		name   string
		ours   []string
		offers []string
		want   string // "" and a status: refused
		told   bool
		status int
	}{
		{"offered", []string{"rollcall.v1.json"}, []string{"Sec-WebSocket-Protocol: rollcall.v1.json"}, "rollcall.v1.json", true, 0},
		{"offered among others", []string{"rollcall.v1.json"}, []string{"Sec-WebSocket-Protocol: chat, rollcall.v1.json"}, "rollcall.v1.json", true, 0},
		{"offered on another line", []string{"rollcall.v1.json"}, []string{"Sec-WebSocket-Protocol: chat", "Sec-WebSocket-Protocol: rollcall.v1.json"}, "rollcall.v1.json", true, 0},
		{"our order counts", []string{"b", "a"}, []string{"Sec-WebSocket-Protocol: a, b"}, "b", true, 0},
		{"nothing offered", []string{"rollcall.v1.json"}, nil, "rollcall.v1.json", false, 0},
		{"only others", []string{"rollcall.v1.json"}, []string{"Sec-WebSocket-Protocol: mqtt, chat"}, "", false, 400},
		{"case matters", []string{"rollcall.v1.json"}, []string{"Sec-WebSocket-Protocol: ROLLCALL.v1.json"}, "", false, 400},
		{"no rule", nil, []string{"Sec-WebSocket-Protocol: anything"}, "", false, 0},
	} {
		s, err := New(Options{Mode: ModeGoroutine, Protocols: x.ours})
		require.NoError(t, err)
		hs, refusal := s.Check(handshake(x.offers...))
		if x.status != 0 {
			require.NotNil(t, refusal, x.name)
			require.Equal(t, x.status, refusal.Status, x.name)
			require.Equal(t, "protocol", refusal.Code, x.name)
			continue
		}
		require.Nil(t, refusal, x.name)
		require.Equal(t, x.want, hs.Protocol, x.name)
		require.Equal(t, x.told, hs.told, x.name)
	}
}

// The chosen sub-protocol is in the answer, and only that one.
func TestProtocolIsTold(t *testing.T) {
	s := serve(t, Options{Protocols: []string{"rollcall.v1.json"}}, false, func() Handler { return record(t) })
	for offer, want := range map[string]string{"Sec-WebSocket-Protocol: x, rollcall.v1.json": "rollcall.v1.json", "X-Nothing: offered": ""} {
		c, resp, err := raw.Send(s.addr, nil, []byte(raw.Request(s.addr, offer)))
		require.NoError(t, err)
		require.Equal(t, 101, resp.StatusCode)
		require.Equal(t, want, resp.Header.Get("Sec-WebSocket-Protocol"))
		_ = c.Close()
	}
}

// An event loop carries connections without a goroutine for each.
func TestEventLoopsNeedNoGoroutines(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("event loops are Linux's")
	}
	for _, secure := range []bool{false, true} {
		n := 1000
		if secure {
			n = 100
		}
		s := serve(t, Options{Mode: ModeEpoll}, secure, func() Handler { return silent{} })
		before := runtime.NumGoroutine()
		for range n {
			s.dial(t)
		}
		eventually(t, func() bool {
			return s.Stats().Open[Plain].Load()+s.Stats().Open[TLS].Load() == int64(n) && runtime.NumGoroutine() < before+20
		}, "all are open, without their goroutines")
	}
}

// silent is a Handler that does nothing.
type silent struct{}

func (silent) Open(Conn)                 {}
func (silent) Message(ws.OpCode, []byte) {}
func (silent) Closed(End)                {}

// Encrypted connections of a listener that is not ours can't be taken over by
// an event loop; they are served all the same.
func TestForeignConnectionsAreServed(t *testing.T) {
	r := record(t)
	s := serve(t, Options{}, false, func() Handler { return r })
	pair, err := certificate()
	require.NoError(t, err)
	web := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		hs, refusal := s.Check(q)
		require.Nil(t, refusal)
		require.NoError(t, s.Accept(w, q, hs, r))
	}))
	web.TLS = pair[0].Clone()
	web.StartTLS()
	defer web.Close()
	c, err := raw.Dial(web.Listener.Addr().String(), pair[1], nil)
	require.NoError(t, err)
	send(t, c, raw.Text("hello"), raw.Close(1000, ""))
	require.Equal(t, "hello", await(t, r.messages, "a message"))
	require.Equal(t, PeerClosed, await(t, r.closed, "Closed").Cause)
	require.EqualValues(t, 1, s.Stats().Opened[TLS].Load())
	require.NoError(t, c.Close())
}

func TestTurnsAreObserved(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("event loops are Linux's")
	}
	turns := make(chan time.Duration, 1<<16)
	_, r, c := pair(t, Options{ObserveTurn: func(d time.Duration) {
		select {
		case turns <- d:
		default:
		}
	}}, false)
	send(t, c, raw.Text("hello"))
	await(t, r.messages, "a message")
	require.GreaterOrEqual(t, await(t, turns, "a turn"), time.Duration(0))
}

// What a Handler leaves for soon is done when all that was read is passed on, on
// the goroutine of its calls; also where the server ends in the same turn.
func TestSoon(t *testing.T) {
	everyWay(t, func(t *testing.T, mode string, secure bool) {
		const n = 5
		var got []string // by the serving goroutine alone
		done := make(chan []string, n)
		_, _, c := pair(t, Options{Mode: mode}, secure, func(r *recorder) {
			r.onMessage = func(c Conn, m string) {
				got = append(got, m)
				c.Soon(func() {
					got = append(got, "soon "+m)
					done <- slices.Clone(got)
				})
			}
		})
		var b []byte
		for i := range n {
			b = append(b, raw.Bytes(raw.Text(itoa(i)))...)
		}
		_, err := c.Write(b)
		require.NoError(t, err)
		var last []string
		for range n {
			last = await(t, done, "soon")
		}
		require.Equal(t, []string{"0", "1", "2", "3", "4", "soon 0", "soon 1", "soon 2", "soon 3", "soon 4"}, last)
	})
}
