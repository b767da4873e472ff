package app

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"rollcall/internal/logs"
	"rollcall/protocol"
	"rollcall/protocol/stomp"
	"rollcall/transport"
	"rollcall/transport/sockjs"
)

// nativeInSockJS is the encoding of the native protocol in SockJS frames, the
// same for a WebSocket and for a session of HTTP requests.
type nativeInSockJS struct{}

// Append implements actors.Encoding.
func (nativeInSockJS) Append(b []byte, m protocol.Message) []byte {
	return sockjs.AppendText(b, m.AppendJSON)
}

// fronts are the SockJS services, one for each prefix.
type fronts struct {
	services []front
	stats    *sockjs.Stats
	openings openings
	aliases  aliases
}

type front struct {
	prefix string
	*sockjs.Service
}

// newFronts builds the SockJS services of the configuration.
func (a *App) newFronts() error {
	o := &a.cfg.SockJS
	a.sockjs.stats = sockjs.NewStats()
	for _, prefix := range o.Prefixes {
		svc, err := sockjs.New(sockjs.Options{
			Prefix: prefix, Wire: a.wire, Accept: a.acceptSockJS, Protocols: append(slices.Clone(stomp.Subprotocols), protocol.Subprotocol), Origins: a.origins, Stats: a.sockjs.stats,
			Farewell:     lastWords,
			MessageBytes: a.cfg.Limits.MessageBytes, OutboundBytes: a.cfg.Limits.OutboundBytes,
			Heartbeat: o.Heartbeat, DisconnectDelay: o.DisconnectDelay, ResponseLimit: o.ResponseLimit,
			WriteTimeout: a.cfg.Transport.UserTimeout, ClientURL: o.ClientURL,
			NoWebSocket: o.WebSocket == "off", Cookie: o.Cookie == "on",
		})
		if err != nil {
			return err
		}
		a.sockjs.services = append(a.sockjs.services, front{prefix, svc})
	}
	a.steps.add("close SockJS sessions", a.sockjs.shutdown)
	return nil
}

func (f *fronts) shutdown(ctx context.Context) error {
	var err error
	for _, svc := range f.services {
		err = errors.Join(err, svc.Shutdown(ctx))
	}
	return err
}

// serve answers a request whose path is below one of the prefixes, and reports
// whether it is.
func (f *fronts) serve(w http.ResponseWriter, r *http.Request, path string) bool {
	for _, svc := range f.services {
		if rest, ok := strings.CutPrefix(path, svc.prefix); ok && (rest == "" || rest[0] == '/') {
			svc.Serve(w, r, rest)
			return true
		}
	}
	return false
}

// acceptSockJS lets a client of SockJS in; the query is that of docs/protocol.md
// §2, and which protocol it speaks, its first frame says.
func (a *App) acceptSockJS(r *http.Request, c sockjs.Client) (transport.Handler, *transport.Refusal) {
	refusal := &transport.Refusal{
		Status: http.StatusServiceUnavailable, Code: "unavailable", Detail: "the server is going away", Header: http.Header{"Retry-After": {"1"}},
	}
	if !a.draining.Load() {
		h, err := readHello(r.URL.RawQuery, a.cfg.Limits.RoomsPerSession)
		if err == nil && a.barred(h, r) {
			return nil, &transport.Refusal{Status: http.StatusForbidden, Code: string(protocol.ErrBanned), Detail: banned}
		}
		if err == nil {
			return &opening{app: a, hello: h, alias: strings.Clone(c.Session), raw: c.Raw, began: time.Now(), remote: remoteIP(r)}, nil
		}
		refusal = &transport.Refusal{Status: http.StatusBadRequest, Code: "query", Detail: err.Error()}
	}
	a.log.Info(logs.Refused, logs.Fields{"remote_ip": remoteIP(r), "reason": refusal.Code, "status": refusal.Status})
	return nil, refusal
}

// aliases are the names that clients of SockJS gave their sessions, in the URL:
// what a session is also found by, while it has that connection.
type aliases struct {
	mu sync.Mutex
	of map[string]string // session, by alias
}

// set has a session be found by an alias, too. Names as the server gives them to
// sessions are none: clients see each other's, and who took one as an alias would
// be ended, or looked at, in the other's place.
func (a *aliases) set(alias, session string) {
	if alias == "" || strings.HasPrefix(alias, "s_") {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.of == nil {
		a.of = map[string]string{}
	}
	a.of[alias] = session // WebSockets may share one: the newest counts
}

func (a *aliases) drop(alias, session string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.of[alias] == session {
		delete(a.of, alias)
	}
}

// session is the session of that name, or of that alias.
func (a *aliases) session(name string) string {
	a.mu.Lock()
	defer a.mu.Unlock()
	if session, ok := a.of[name]; ok {
		return session
	}
	return name
}
