package transport

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"os"
	"strconv"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"rollcall/internal/conformance/raw"
)

// comers is a listener whose connections the test brings.
type comers struct {
	net.Listener
	come   chan net.Conn
	closed chan struct{}
}

func (l *comers) Accept() (net.Conn, error) {
	select {
	case nc := <-l.come:
		return nc, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *comers) Close() error {
	close(l.closed)
	return nil
}

// fakeConn is an address, and whether it was closed.
type fakeConn struct {
	net.Conn
	from   *net.TCPAddr
	closed atomic.Bool
}

func (c *fakeConn) RemoteAddr() net.Addr { return c.from }
func (c *fakeConn) Close() error {
	c.closed.Store(true)
	return nil
}

// crowdAt is a pending that the test fills by hand.
func crowdAt(most int) (*pending, *Stats) {
	s := &Stats{}
	l := &comers{come: make(chan net.Conn), closed: make(chan struct{})}
	return newPending(l, ListenOptions{Pending: most, Stats: s}), s
}

func from(host byte) *fakeConn {
	return &fakeConn{from: &net.TCPAddr{IP: net.IPv4(11, 0, 0, host), Port: 1}}
}

func fromHere() *fakeConn {
	return &fakeConn{from: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 1}}
}

// check says what does not fit together.
func (p *pending) check() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	n, parked := p.asking.Len()+p.idle.Len(), p.parked.Len()
	if n > p.most || int64(n+parked) != p.stats.Pending.Load() {
		return fmt.Errorf("%d are in and %d parked, %d may be in, %d are counted", n, parked, p.most, p.stats.Pending.Load())
	}
	of := map[uint64]int{}
	for e := p.asking.Front(); e != nil; e = e.Next() {
		c := e.Value.(*pendingConn)
		if c.in != &p.asking || c.place != e {
			return fmt.Errorf("%v is at another place than it says", c)
		}
		if c.limited {
			of[c.key]++
		}
	}
	if fmt.Sprint(of) != fmt.Sprint(p.of) {
		return fmt.Errorf("of each address there are %v, and %v are counted", of, p.of)
	}
	return nil
}

// In the order of the rule: one that idles goes at once; one that we wait for,
// when it had its time; one that waits for us stays, and nobody is accepted.
func TestWhoGivesWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, stats := crowdAt(2)
		first, second := fromHere(), fromHere()
		idler := p.enter(first)
		p.enter(second)
		pendingState(idler, http.StateActive)
		pendingState(idler, http.StateIdle)
		third := fromHere()
		silent := p.enter(third).(*pendingConn)
		require.True(t, first.closed.Load(), "the one that idles goes")
		require.False(t, second.closed.Load())
		require.EqualValues(t, 1, stats.IdleCut.Load())

		began := time.Now()
		silent.reading.Store(true) // the older one waits for us
		fourth := fromHere()
		newest := p.enter(fourth).(*pendingConn)
		require.Equal(t, pendingPatience, time.Since(began))
		require.True(t, third.closed.Load())
		require.False(t, second.closed.Load(), "its request has come")
		require.EqualValues(t, 1, stats.Refused[RefusedPending].Load())

		began = time.Now()
		newest.reading.Store(true) // for its next request: the first is being answered
		newest.answering.Store(true)
		time.AfterFunc(time.Minute-time.Millisecond, func() { newest.answering.Store(false) })
		p.enter(fromHere())
		require.Equal(t, time.Minute, time.Since(began))
		require.True(t, fourth.closed.Load())
		require.False(t, second.closed.Load())
		require.NoError(t, p.check())
	})
}

// Whoever waits for a place gets one as soon as somebody goes: by closing, by
// becoming a WebSocket, or by idling.
func TestPlacesAreGivenBack(t *testing.T) {
	for name, leave := range map[string]func(net.Conn){
		"closed":   func(nc net.Conn) { _ = nc.Close() },
		"hijacked": func(nc net.Conn) { pendingState(nc, http.StateHijacked) },
		"idle":     func(nc net.Conn) { pendingState(nc, http.StateIdle) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p, stats := crowdAt(1)
				first := p.enter(fromHere())
				first.(*pendingConn).reading.Store(true)
				began := time.Now()
				time.AfterFunc(13*time.Millisecond, func() { leave(first) })
				second := p.enter(fromHere())
				require.NotNil(t, second)
				require.Equal(t, 13*time.Millisecond, time.Since(began))
				require.Zero(t, stats.Refused[RefusedPending].Load())
				_ = first.Close() // once more, late
				pendingState(first, http.StateIdle)
				require.NoError(t, p.check())
			})
		})
	}
}

// A request whose handler waits for something else takes no place, of all or of
// its address, until it goes on; nor may it be closed for a newcomer.
func TestParkedConnectionsTakeNoPlace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, stats := crowdAt(4)
		var unpark []func()
		var all []net.Conn
		began := time.Now()
		for range 20 {
			nc := p.enter(from(1))
			require.NotNil(t, nc)
			pendingState(nc, http.StateActive)
			all = append(all, nc)
			unpark = append(unpark, Park(pendingContext(t.Context(), nc)))
		}
		require.Zero(t, time.Since(began), "nobody waited")
		require.NoError(t, p.check())
		_ = all[0].Close()
		unpark[0]() // too late
		unpark[1]()
		pendingState(all[1], http.StateIdle)
		require.NoError(t, p.check())
		unpark[2]()
		second := from(1)
		require.Nil(t, p.enter(second), "it is one of its address again")
		require.EqualValues(t, 18+1, stats.Pending.Load(), "%v", stats.IdleCut.Load())
		Park(t.Context())() // of no connection: nothing
	})
}

// One address can't take all places; the others don't notice it.
func TestAddressMayHaveAQuarterOfThePlaces(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, stats := crowdAt(8)
		a, b := p.enter(from(1)), p.enter(from(1))
		third := from(1)
		require.Nil(t, p.enter(third))
		require.True(t, third.closed.Load())
		require.EqualValues(t, 1, stats.Refused[RefusedAddressPending].Load())
		require.NotNil(t, p.enter(from(2)), "another address")
		for range 3 {
			require.NotNil(t, p.enter(fromHere()), "one that speaks for many")
		}
		pendingState(a, http.StateIdle)
		require.NotNil(t, p.enter(from(1)), "who idles does not count")
		_ = b.Close()
		require.NotNil(t, p.enter(from(1)), "who went does not count")
		require.NoError(t, p.check())
	})
}

// A listener that is closed does not wait for a place.
func TestCloseEndsTheWaitForAPlace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &comers{come: make(chan net.Conn), closed: make(chan struct{})}
		p := newPending(l, ListenOptions{Pending: 1})
		require.NotNil(t, p.enter(fromHere()))
		waiting := fromHere()
		go func() { l.come <- waiting }()
		time.AfterFunc(13*time.Millisecond, func() { _ = p.Close() })
		began := time.Now()
		_, err := p.Accept()
		require.ErrorIs(t, err, net.ErrClosed)
		require.Equal(t, 13*time.Millisecond, time.Since(began))
		require.True(t, waiting.closed.Load())
		require.Zero(t, p.stats.AcceptFailures.Load())
	})
}

// Whatever the states that net/http tells, in whichever order, the counts hold.
func TestPendingCountsHold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rapid.Check(bubbled{t}, func(t *rapid.T) {
			p, _ := crowdAt(rapid.IntRange(1, 6).Draw(t, "most"))
			var all []net.Conn
			for range rapid.IntRange(1, 60).Draw(t, "steps") {
				if len(all) == 0 || rapid.Bool().Draw(t, "comes") {
					for _, nc := range all {
						nc.(*pendingConn).reading.Store(true) // or nobody could come
					}
					if nc := p.enter(from(rapid.ByteRange(1, 3).Draw(t, "from"))); nc != nil {
						all = append(all, nc)
					}
				} else {
					nc := rapid.SampledFrom(all).Draw(t, "who")
					states := []http.ConnState{http.StateNew, http.StateActive, http.StateIdle, http.StateHijacked, http.StateClosed}
					if s := rapid.SampledFrom(states).Draw(t, "state"); s == http.StateClosed {
						_ = nc.Close()
					} else {
						pendingState(nc, s)
					}
				}
				if err := p.check(); err != nil {
					t.Fatal(err)
				}
			}
		})
	})
}

// bubbled is a test whose deadline rapid can't ask for, inside a bubble.
type bubbled struct{ *testing.T }

func (bubbled) Deadline() (deadline time.Time, ok bool) { return }

// A WebSocket takes no place: more of them are open than there are places.
func TestWebSocketsArePendingNoMore(t *testing.T) {
	everyWay(t, func(t *testing.T, mode string, secure bool) {
		s := serveListening(t, Options{Mode: mode}, secure, ListenOptions{Pending: 1}, func() Handler { return record(t) })
		for range 5 {
			s.dial(t)
		}
		eventually(t, func() bool { return s.Stats().Opened[Plain].Load()+s.Stats().Opened[TLS].Load() == 5 }, "five of them")
		require.Zero(t, s.Stats().Pending.Load())
		require.Zero(t, s.Stats().Refused[RefusedPending].Load())
	})
}

// A client gets in while others, more than there are places for, send their
// handshakes byte by byte.
func TestDribblersGiveWay(t *testing.T) {
	const places, dribblers = 4, 7
	s := serveListening(t, Options{}, false, ListenOptions{Pending: places}, func() Handler { return record(t) })
	for range dribblers {
		nc, err := net.Dial("tcp", s.addr)
		require.NoError(t, err)
		t.Cleanup(func() { _ = nc.Close() })
		_, err = nc.Write([]byte("GET / HTTP/1.1\r\nHost: x\r\nX-Long: "))
		require.NoError(t, err)
	}
	s.dial(t)
	require.Positive(t, s.Stats().Refused[RefusedPending].Load())
	require.LessOrEqual(t, s.Stats().Pending.Load(), int64(places))
}

// The place of a kept connection that idles is given away, and its client
// notices.
func TestKeptConnectionGivesWay(t *testing.T) {
	for _, secure := range []bool{false, true} {
		t.Run(strconv.FormatBool(secure), func(t *testing.T) {
			stats := &Stats{}
			o := ListenOptions{Pending: 1, Stats: stats}
			dial := net.Dial
			if secure {
				pair, err := certificate()
				require.NoError(t, err)
				o.TLS = pair[0]
				dial = func(network, addr string) (net.Conn, error) { return tls.Dial(network, addr, pair[1]) }
			}
			l, err := Listen(t.Context(), "127.0.0.1:0", o)
			require.NoError(t, err)
			web := HTTPServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
				if c, _ := r.Context().Value(pendingKey{}).(*pendingConn); c == nil || !c.answering.Load() {
					t.Error("a connection is taken for one that we wait for, while its handler runs")
				}
			}), HandshakeOptions{})
			served := make(chan error, 1)
			go func() { served <- Serve(web, l, everyPath) }()
			ask := func() (net.Conn, *bufio.Reader) {
				nc, err := dial("tcp", l.Addr().String())
				require.NoError(t, err)
				_, err = nc.Write([]byte("GET / HTTP/1.1\r\nHost: x\r\n\r\n"))
				require.NoError(t, err)
				r := bufio.NewReader(nc)
				answer, err := http.ReadResponse(r, nil)
				require.NoError(t, err)
				require.NoError(t, answer.Body.Close())
				return nc, r
			}
			first, rest := ask()
			second, _ := ask()
			require.EqualValues(t, 1, stats.IdleCut.Load())
			require.NoError(t, first.SetReadDeadline(time.Now().Add(raw.Patience)))
			_, err = rest.ReadByte()
			require.Error(t, err)
			require.NotErrorIs(t, err, os.ErrDeadlineExceeded, "it is still open")
			_ = first.Close()
			_ = second.Close()
			require.NoError(t, web.Close())
			require.ErrorIs(t, <-served, http.ErrServerClosed)
			eventually(t, func() bool { return stats.Pending.Load() == 0 }, "all places are given back")
		})
	}
}

// WebSockets leave the fewer places the more of them are open.
func TestPlacesShareTheFilesWithWebSockets(t *testing.T) {
	s := &Stats{}
	p := newPending(nil, ListenOptions{Pending: 50, Files: 100, Stats: s})
	for _, x := range []struct{ webSockets, places int64 }{{0, 50}, {50, 50}, {51, 49}, {90, 10}, {99, 1}, {200, 1}} {
		s.Open[Plain].Store(x.webSockets - x.webSockets/2)
		s.Open[TLS].Store(x.webSockets / 2)
		require.EqualValues(t, x.places, p.places(), "%d WebSockets", x.webSockets)
	}
}
