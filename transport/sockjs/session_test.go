package sockjs

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gobwas/ws"
	"github.com/stretchr/testify/require"

	"rollcall/transport"
)

// handler notes what it is told.
type handler struct {
	mu     sync.Mutex
	conn   transport.Conn
	heard  []string
	ends   []transport.End
	onHear func(text string)
}

func (h *handler) Open(c transport.Conn) { h.conn = c }

func (h *handler) Message(_ ws.OpCode, payload []byte) {
	h.mu.Lock()
	h.heard = append(h.heard, string(payload))
	h.mu.Unlock()
	if h.onHear != nil {
		h.onHear(string(payload))
	}
}

func (h *handler) Closed(e transport.End) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.ends = append(h.ends, e)
}

func (h *handler) causes() (names []string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, e := range h.ends {
		names = append(names, e.Cause.String())
	}
	return names
}

func (h *handler) texts() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return strings.Join(h.heard, " ")
}

func (h *handler) say(text string) { h.conn.Write(said(text), len(said(text))) }

func said(text string) []byte {
	return AppendText(nil, func(b []byte) []byte { return append(b, text...) })
}

// harness is a service in virtual time, without sockets.
type harness struct {
	t *testing.T
	*Service
	handlers []*handler // in the order of their sessions
}

// inBubble runs f with a service whose options change may change.
func inBubble(t *testing.T, change func(*Options), f func(h *harness)) {
	synctest.Test(t, func(t *testing.T) {
		wire, err := transport.New(transport.Options{Mode: transport.ModeGoroutine, Connections: 10})
		require.NoError(t, err)
		h := &harness{t: t}
		o := Options{
			Wire: wire,
			Accept: func(*http.Request, Client) (transport.Handler, *transport.Refusal) {
				h.handlers = append(h.handlers, &handler{})
				return h.handlers[len(h.handlers)-1], nil
			},
			MessageBytes: 100, OutboundBytes: 20 << 10,
		}
		if change != nil {
			change(&o)
		}
		h.Service, err = New(o)
		require.NoError(t, err)
		f(h)
		gone, cancel := context.WithCancel(t.Context())
		cancel()
		_ = h.Shutdown(gone)
		for i, x := range h.handlers {
			require.Len(t, x.ends, 1, "handler %d is told of its end once", i)
		}
		require.Zero(t, h.o.Stats.Open.Load())
		require.NoError(t, wire.Shutdown(t.Context()), "every connection that was counted in was counted out")
	})
}

// request is one request under way.
type request struct {
	cancel context.CancelFunc
	mu     sync.Mutex
	header http.Header
	status int
	got    strings.Builder
	over   bool
}

func (r *request) Header() http.Header { return r.header }

func (r *request) WriteHeader(status int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.status == 0 {
		r.status = status
	}
}

func (r *request) Write(b []byte) (int, error) {
	r.WriteHeader(http.StatusOK)
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.got.Write(b)
}

func (r *request) Flush() {}

// state is how far it is.
func (r *request) state() (status int, over bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.status, r.over
}

func statusOf(r *request) int {
	status, _ := r.state()
	return status
}

func (r *request) body() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.got.String()
}

// ask begins a request and lets it go as far as it can.
func (h *harness) ask(path, body string) *request {
	h.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	r := &request{cancel: cancel, header: http.Header{}}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://x"+path, strings.NewReader(body))
	require.NoError(h.t, err)
	req.RemoteAddr = "127.0.0.1:1"
	if strings.HasSuffix(path, "/jsonp_send") {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	go func() {
		defer cancel()
		h.Serve(r, req, path)
		r.mu.Lock()
		r.over = true
		r.mu.Unlock()
	}()
	synctest.Wait()
	return r
}

func (h *harness) poll() *request            { return h.ask("/0/x/xhr", "") }
func (h *harness) send(body string) *request { return h.ask("/0/x/xhr_send", body) }
func (h *harness) want(r *request, b string) {
	h.t.Helper()
	_, over := r.state()
	require.True(h.t, over)
	require.Equal(h.t, b, r.body())
}

func (h *harness) waiting(rs ...*request) {
	h.t.Helper()
	for _, r := range rs {
		status, over := r.state()
		require.False(h.t, over, "answered with %d %q", status, r.body())
	}
}

// begin opens a session and returns its handler.
func (h *harness) begin() *handler {
	h.t.Helper()
	h.want(h.poll(), "o\n")
	return h.handlers[len(h.handlers)-1]
}

func TestQuietBetweenTwoPollsIsNotTheEnd(t *testing.T) {
	inBubble(t, nil, func(h *harness) {
		x := h.begin()
		for range 10 {
			time.Sleep(4900 * time.Millisecond)
			x.say("m")
			h.want(h.poll(), `a["m"]`+"\n")
		}
		require.Empty(t, x.causes())
	})
}

func TestASessionWithoutAReceiverIsLost(t *testing.T) {
	inBubble(t, nil, func(h *harness) {
		x := h.begin()
		time.Sleep(5*time.Second - 1)
		synctest.Wait()
		require.Empty(t, x.causes())
		time.Sleep(time.Nanosecond)
		synctest.Wait()
		require.Equal(t, []string{"lost"}, x.causes())
		require.Equal(t, 404, statusOf(h.send(`["late"]`)))
		h.begin() // another one, under the same name
	})
}

func TestAReceiverThatWaitsKeepsTheSession(t *testing.T) {
	inBubble(t, nil, func(h *harness) {
		x := h.begin()
		r := h.poll()
		time.Sleep(25*time.Second - 1)
		synctest.Wait()
		h.waiting(r)
		time.Sleep(time.Nanosecond)
		synctest.Wait()
		h.want(r, "h\n")
		require.Empty(t, x.causes())
	})
}

func TestABrokenReceiverLosesTheSession(t *testing.T) {
	inBubble(t, nil, func(h *harness) {
		x := h.begin()
		r := h.poll()
		x.say("arrives")
		synctest.Wait()
		h.want(r, `a["arrives"]`+"\n")
		r.cancel() // it has ended in order: nothing comes of it
		r = h.poll()
		h.waiting(r)
		require.Empty(t, x.causes())
		r.cancel()
		synctest.Wait()
		require.Equal(t, []string{"lost"}, x.causes())
		h.begin()
	})
}

func TestASecondReceiverWaitsForTheFirstToBreak(t *testing.T) {
	inBubble(t, nil, func(h *harness) {
		x := h.begin()
		first, second := h.poll(), h.poll()
		h.waiting(first, second)
		time.Sleep(busyGrace)
		synctest.Wait()
		h.waiting(first)
		h.want(second, `c[2010,"Another connection still open"]`+"\n")
		require.EqualValues(t, 1, h.o.Stats.Refused[RefusedReceiver].Load())
		require.Empty(t, x.causes(), "the first one is not concerned")

		second = h.poll()
		first.cancel()
		synctest.Wait()
		h.want(second, "o\n") // a new session
		require.Equal(t, []string{"lost"}, x.causes())
	})
}

func TestTheCloseFrameStaysForAWhile(t *testing.T) {
	inBubble(t, nil, func(h *harness) {
		x := h.begin()
		x.say("last")
		x.conn.Close(4500, "idle")
		x.conn.Close(4000, "too late")
		x.say("later than the last")
		synctest.Wait()
		require.Equal(t, []string{"local"}, x.causes())
		require.EqualValues(t, 4500, x.ends[0].Code)
		h.want(h.poll(), `a["last"]`+"\n")
		h.want(h.poll(), `c[4500,"idle"]`+"\n")
		h.want(h.send(`["ignored"]`), "")
		require.Empty(t, x.texts())
		time.Sleep(5*time.Second - 1)
		synctest.Wait()
		h.want(h.poll(), `c[4500,"idle"]`+"\n")
		time.Sleep(time.Nanosecond)
		synctest.Wait()
		h.begin()
	})
}

func TestWhoDoesNotAskIsCutAsSlow(t *testing.T) {
	inBubble(t, nil, func(h *harness) {
		x := h.begin()
		for range 21 {
			require.Empty(t, x.causes())
			x.say(strings.Repeat("x", 1000))
			synctest.Wait()
		}
		require.Equal(t, []string{"slow"}, x.causes())
		h.want(h.poll(), `c[4002,"slow"]`+"\n")
	})
}

func TestOneLargeWriteDoesNotCutItsReader(t *testing.T) {
	inBubble(t, nil, func(h *harness) {
		x := h.begin()
		x.say(strings.Repeat("x", 100<<10))
		x.say("and a small one")
		synctest.Wait()
		require.Empty(t, x.causes())
		require.Len(t, h.poll().body(), 100<<10+len(`a["","and a small one"]`)+1)
		x.say(strings.Repeat("x", 100<<10))
		x.say(strings.Repeat("x", 100<<10))
		synctest.Wait()
		require.Equal(t, []string{"slow"}, x.causes())
	})
}

func TestOptionalFramesAreDroppedUnderABacklog(t *testing.T) {
	inBubble(t, nil, func(h *harness) {
		x := h.begin()
		x.conn.Write(append(said("must"), said("may")...), len(said("must")))
		h.want(h.poll(), `a["must","may"]`+"\n")
		long := strings.Repeat("x", slackBytes)
		x.conn.Write(append(said(long), said("may")...), len(said(long)))
		h.want(h.poll(), `a["`+long+`"]`+"\n")
		require.EqualValues(t, 1, h.o.Stats.Dropped.Load())
	})
}

func TestAPausedSessionKeepsItsSendersWaiting(t *testing.T) {
	inBubble(t, func(o *Options) { o.DisconnectDelay = time.Hour }, func(h *harness) {
		x := h.begin()
		x.onHear = func(text string) {
			if text == "pause" {
				x.conn.Pause()
			}
		}
		var senders []*request
		for i := range sendersMost + 1 { // the first one is answered
			senders = append(senders, h.send(fmt.Sprintf(`["%d","pause"]`, i)))
		}
		require.Equal(t, "0 pause", x.texts(), "no message follows a pause, from whichever request")
		require.Equal(t, 503, statusOf(h.send(`["one too many"]`)))
		require.EqualValues(t, 1, h.o.Stats.Refused[RefusedSenders].Load())
		time.Sleep(time.Minute)
		h.want(senders[0], "")
		h.waiting(senders[1:]...)
		for range sendersMost {
			x.conn.Resume()
			synctest.Wait()
		}
		x.mu.Lock()
		require.Len(t, x.heard, 2*(sendersMost+1))
		x.mu.Unlock()
		x.conn.Resume()
		x.conn.Pause()
		r := h.send(`["never heard"]`)
		h.waiting(r)
		x.conn.Close(4000, "shutdown") // overrides the pause
		synctest.Wait()
		h.want(r, "")
		require.NotContains(t, x.texts(), "never")
	})
}

func TestASenderThatBreaksInTheMiddleLosesTheSession(t *testing.T) {
	inBubble(t, nil, func(h *harness) {
		x := h.begin()
		x.onHear = func(string) { x.conn.Pause() }
		r := h.send(`["heard","not heard"]`)
		h.waiting(r)
		r.cancel()
		synctest.Wait()
		require.Equal(t, []string{"lost"}, x.causes())
		require.Equal(t, "heard", x.texts())
	})
}

func TestMessagesThatAreTooLarge(t *testing.T) {
	for name, body := range map[string]string{
		"one":                `["` + strings.Repeat("x", 101) + `"]`,
		"all of one request": `["` + strings.Repeat(`x","`, 300) + `"]`,
	} {
		t.Run(name, func(t *testing.T) {
			farewell := func(h transport.Handler, code uint16) []byte { return said(fmt.Sprint("bye ", code, h != nil)) }
			inBubble(t, func(o *Options) { o.Farewell = farewell }, func(h *harness) {
				x := h.begin()
				h.want(h.send(`["`+strings.Repeat("x", 100)+`"]`), "")
				h.send(body)
				require.Equal(t, []string{"violation"}, x.causes())
				h.want(h.poll(), `a["bye 1009 true"]`+"\n") // the protocol's own word comes first
				h.want(h.poll(), `c[1009,"message too big"]`+"\n")
				require.EqualValues(t, 1, h.o.Stats.Refused[RefusedBody].Load())
				h.send(body)
			})
		})
	}
}

// What counts is the message, and not what its quoting makes of it.
func TestQuotingDoesNotMakeAMessageTooLarge(t *testing.T) {
	for _, c := range []string{`"`, "\\", "\x01", "\u2028", "é"} {
		text := strings.Repeat(c, 100/len(c))
		quoted, err := json.Marshal([]string{text})
		require.NoError(t, err)
		inBubble(t, nil, func(h *harness) {
			x := h.begin()
			h.want(h.send(string(quoted)), "")
			require.Equal(t, text, x.texts())
			h.want(h.ask("/0/x/jsonp_send", url.Values{"d": {string(quoted)}}.Encode()), "ok")
			require.Equal(t, text+" "+text, x.texts())
		})
	}
}

func TestAStreamGetsWhatComes(t *testing.T) {
	inBubble(t, nil, func(h *harness) {
		r := h.ask("/0/x/xhr_streaming", "")
		x := h.handlers[0]
		want := strings.Repeat("h", 2048) + "\no\n"
		x.say("one")
		synctest.Wait()
		want += `a["one"]` + "\n"
		time.Sleep(25 * time.Second)
		synctest.Wait()
		want += "h\n"
		require.Equal(t, want, r.body())
		h.waiting(r)
		x.conn.Close(1000, "bye")
		synctest.Wait()
		h.want(r, want+`c[1000,"bye"]`+"\n")
	})
}

func TestSessionsCountAsConnections(t *testing.T) {
	inBubble(t, nil, func(h *harness) {
		for i := range 10 {
			h.want(h.ask(fmt.Sprintf("/0/s%d/xhr", i), ""), "o\n")
		}
		require.Equal(t, 503, statusOf(h.poll()))
		require.EqualValues(t, 1, h.o.Stats.Refused[RefusedSession].Load())
		h.handlers = h.handlers[:10] // the last one was never opened
	})
}

func TestShutdownWaitsForSessionsToEnd(t *testing.T) {
	inBubble(t, nil, func(h *harness) {
		x := h.begin()
		r := h.poll()
		ended := make(chan error, 1)
		go func() { ended <- h.Shutdown(context.Background()) }()
		synctest.Wait()
		require.Equal(t, 503, statusOf(h.ask("/0/new/xhr", "")))
		h.handlers = h.handlers[:1]
		require.Empty(t, ended)
		x.conn.Close(4000, "shutdown")
		synctest.Wait()
		h.want(r, `c[4000,"shutdown"]`+"\n")
		require.NoError(t, <-ended)
		require.ErrorIs(t, h.Shutdown(context.Background()), transport.ErrServerClosed)
	})
}

func TestShutdownInAHurry(t *testing.T) {
	inBubble(t, nil, func(h *harness) {
		x := h.begin()
		r := h.poll()
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		require.ErrorIs(t, h.Shutdown(ctx), context.Canceled)
		require.Equal(t, []string{"lost"}, x.causes())
		synctest.Wait()
		h.want(r, "")
	})
}
