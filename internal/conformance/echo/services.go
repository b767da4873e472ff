package main

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/gobwas/ws"

	"rollcall/transport"
	"rollcall/transport/sockjs"
)

// services are the SockJS services that suites for clients and servers expect.
type services struct {
	at  map[string]*sockjs.Service // by prefix
	srv *transport.Server
}

// newServices makes them on a transport of their own, where all pages may
// connect: suites come from anywhere.
func newServices(o transport.Options) (*services, error) {
	anybody, err := transport.ParseOrigins([]string{"*"})
	if err != nil {
		return nil, err
	}
	o.Origins = anybody
	srv, err := transport.New(o)
	if err != nil {
		return nil, err
	}
	all := &services{map[string]*sockjs.Service{}, srv}
	crowd := &crowd{members: map[*voice]struct{}{}}
	for prefix, hear := range map[string]func(v *voice) transport.Handler{
		"/echo":                    func(v *voice) transport.Handler { return &talk{v, v.say} },
		"/disabled_websocket_echo": func(v *voice) transport.Handler { return &talk{v, v.say} },
		"/cookie_needed_echo":      func(v *voice) transport.Handler { return &talk{v, v.say} },
		"/amplify":                 func(v *voice) transport.Handler { return &talk{v, v.amplify} },
		"/close":                   func(v *voice) transport.Handler { return &goAway{talk{v, v.say}} },
		"/broadcast":               func(v *voice) transport.Handler { return &member{talk{v, crowd.say}, crowd} },
		"/ticker":                  func(v *voice) transport.Handler { return &ticker{talk: talk{v, func([]byte) {}}} },
	} {
		svc, err := sockjs.New(sockjs.Options{
			Prefix: prefix, Wire: srv, Origins: anybody, MessageBytes: o.MessageBytes, OutboundBytes: max(1<<20, 2*o.MessageBytes),
			Accept: func(_ *http.Request, c sockjs.Client) (transport.Handler, *transport.Refusal) {
				return hear(&voice{raw: c.Raw}), nil
			},
			ResponseLimit: 4096, NoWebSocket: prefix == "/disabled_websocket_echo", Cookie: prefix == "/cookie_needed_echo",
		})
		if err != nil {
			return nil, err
		}
		all.at[prefix] = svc
	}
	return all, nil
}

// serve answers a request to one of the services, and reports whether it is.
func (all *services) serve(w http.ResponseWriter, r *http.Request) bool {
	path := r.URL.EscapedPath()
	prefix, rest := path, ""
	if end := strings.IndexByte(path[min(1, len(path)):], '/'); end >= 0 {
		prefix, rest = path[:1+end], path[1+end:]
	}
	svc := all.at[prefix]
	if svc == nil {
		return false
	}
	svc.Serve(w, r, rest)
	return true
}

func (all *services) shutdown(ctx context.Context) error {
	var err error
	for _, svc := range all.at {
		err = errors.Join(err, svc.Shutdown(ctx))
	}
	all.srv.CloseAll(1001, "going away")
	return errors.Join(err, all.srv.Shutdown(ctx))
}

// voice writes texts to a connection in its framing.
type voice struct {
	raw  bool
	conn transport.Conn
}

func (v *voice) say(text []byte) {
	var b []byte
	if v.raw {
		b = transport.AppendFrame(b, ws.OpText, text)
	} else {
		b = sockjs.AppendText(b, func(b []byte) []byte { return append(b, text...) })
	}
	v.conn.Write(b, len(b))
}

// amplify says 2^n times x for the number n, which is below 19.
func (v *voice) amplify(n []byte) {
	power, err := strconv.Atoi(string(n))
	if err != nil || power < 1 || power > 18 {
		power = 1
	}
	v.say([]byte(strings.Repeat("x", 1<<power)))
}

// talk hands what it hears on.
type talk struct {
	*voice
	hear func(text []byte)
}

func (t *talk) Open(c transport.Conn)               { t.conn = c }
func (t *talk) Message(_ ws.OpCode, payload []byte) { t.hear(payload) }
func (t *talk) Closed(transport.End)                {}

// goAway closes at once.
type goAway struct{ talk }

func (g *goAway) Open(c transport.Conn) { c.Close(3000, "Go away!") }

// crowd is everybody who is connected to a service.
type crowd struct {
	mu      sync.Mutex
	members map[*voice]struct{}
}

func (c *crowd) say(text []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for v := range c.members {
		v.say(text)
	}
}

type member struct {
	talk
	crowd *crowd
}

func (m *member) Open(c transport.Conn) {
	m.talk.Open(c)
	m.crowd.mu.Lock()
	m.crowd.members[m.voice] = struct{}{}
	m.crowd.mu.Unlock()
}

func (m *member) Closed(transport.End) {
	m.crowd.mu.Lock()
	delete(m.crowd.members, m.voice)
	m.crowd.mu.Unlock()
}

// ticker says tick! every second.
type ticker struct {
	talk
	mu    sync.Mutex
	timer *time.Timer // nil after the end
}

func (t *ticker) Open(c transport.Conn) {
	t.talk.Open(c)
	t.mu.Lock()
	defer t.mu.Unlock()
	t.timer = time.AfterFunc(time.Second, t.tick)
}

func (t *ticker) tick() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.timer != nil {
		t.say([]byte("tick!"))
		t.timer.Reset(time.Second)
	}
}

func (t *ticker) Closed(transport.End) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.timer.Stop()
	t.timer = nil
}
