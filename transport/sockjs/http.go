package sockjs

import (
	"encoding/json"
	"errors"
	"io"
	"math/rand/v2"
	"mime"
	"net/http"
	"net/url"
	"strings"
	"time"

	"rollcall/transport"
)

// action answers one method of one place.
type action func(svc *Service, w http.ResponseWriter, r *http.Request, p place)

// places below the prefix, and transports below a session, by name and method.
var (
	places, transports map[string]map[string]action
)

func init() { // the actions look into the maps
	options := func(methods string) action {
		return func(svc *Service, w http.ResponseWriter, r *http.Request, _ place) { svc.preflight(w, r, methods) }
	}
	places = map[string]map[string]action{
		"greeting": {"GET": (*Service).greet},
		"info":     {"GET": (*Service).info, "OPTIONS": options("OPTIONS, GET")},
		"iframe":   {"GET": (*Service).iframe},
		"script":   {"GET": (*Service).script},
		"raw":      {"GET": (*Service).raw},
	}
	transports = map[string]map[string]action{
		"websocket":     {"GET": (*Service).webSocket},
		"xhr":           {"POST": (*Service).receive, "OPTIONS": options("OPTIONS, POST")},
		"xhr_streaming": {"POST": (*Service).receive, "OPTIONS": options("OPTIONS, POST")},
		"xhr_send":      {"POST": (*Service).send, "OPTIONS": options("OPTIONS, POST")},
		"eventsource":   {"GET": (*Service).receive},
		"htmlfile":      {"GET": (*Service).receive},
		"jsonp":         {"GET": (*Service).receive},
		"jsonp_send":    {"POST": (*Service).send},
	}
}

// Serve answers a request; path is what follows the prefix, as it was sent: ""
// or from a slash on.
func (svc *Service) Serve(w http.ResponseWriter, r *http.Request, path string) {
	p := find(path)
	methods := places[p.name]
	if p.session != "" {
		methods = transports[p.name]
	}
	act := methods[r.Method]
	switch {
	case methods == nil, svc.o.NoWebSocket && (p.name == "raw" || p.name == "websocket"):
		text(w, http.StatusNotFound, "404 Error: Page not found\n")
	case act == nil:
		allow := ""
		for _, m := range []string{"OPTIONS", "GET", "POST"} {
			if methods[m] != nil {
				allow += ", " + m
			}
		}
		w.Header().Set("Allow", allow[2:])
		w.WriteHeader(http.StatusMethodNotAllowed)
	case !svc.o.Origins.Allows(r):
		svc.o.Stats.Refused[RefusedOrigin].Add(1)
		text(w, http.StatusForbidden, "pages of this origin may not connect\n")
	default:
		w.Header().Set("X-Content-Type-Options", "nosniff")
		act(svc, w, r, p)
	}
}

func text(w http.ResponseWriter, status int, body string) {
	w.Header().Set("Content-Type", "text/plain; charset=UTF-8")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, body)
}

func refuse(w http.ResponseWriter, refusal *transport.Refusal) {
	for name, values := range refusal.Header {
		w.Header()[name] = values
	}
	text(w, refusal.Status, refusal.Detail+"\n")
}

func (svc *Service) greet(w http.ResponseWriter, _ *http.Request, _ place) {
	text(w, http.StatusOK, "Welcome to SockJS!\n")
}

// info tells a client what is spoken here, lets it measure the way to us, and
// gives it entropy.
func (svc *Service) info(w http.ResponseWriter, r *http.Request, _ place) {
	cors(w, r)
	notCached(w)
	w.Header().Set("Content-Type", "application/json; charset=UTF-8")
	_ = json.NewEncoder(w).Encode(struct {
		WebSocket    bool     `json:"websocket"`
		CookieNeeded bool     `json:"cookie_needed"`
		Origins      []string `json:"origins"`
		Entropy      uint32   `json:"entropy"`
	}{!svc.o.NoWebSocket, svc.o.Cookie, []string{"*:*"}, rand.Uint32()})
}

// preflight answers a browser that asks before it asks.
func (svc *Service) preflight(w http.ResponseWriter, r *http.Request, methods string) {
	svc.cookie(w, r)
	cors(w, r)
	cached(w)
	w.Header().Set("Access-Control-Allow-Methods", methods)
	w.Header().Set("Access-Control-Max-Age", yearSeconds)
	w.WriteHeader(http.StatusNoContent)
}

// cors lets the page that sent r, which Options.Origins allows, read the answer.
func cors(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Add("Vary", "Origin")
	if origin := r.Header.Get("Origin"); origin == "" {
		h.Set("Access-Control-Allow-Origin", "*")
	} else {
		h.Set("Access-Control-Allow-Origin", origin)
		h.Set("Access-Control-Allow-Credentials", "true")
	}
	if asked := r.Header.Get("Access-Control-Request-Headers"); asked != "" {
		h.Set("Access-Control-Allow-Headers", asked)
	}
}

const (
	year        = 365 * 24 * time.Hour
	yearSeconds = "31536000"
)

func cached(w http.ResponseWriter) {
	w.Header().Set("Cache-Control", "public, max-age="+yearSeconds)
	w.Header().Set("Expires", time.Now().Add(year).UTC().Format(http.TimeFormat))
}

func notCached(w http.ResponseWriter) {
	w.Header().Set("Cache-Control", "no-store, no-cache, no-transform, must-revalidate, max-age=0")
}

// cookie sets the cookie that load balancers go by, or confirms the one that
// was set.
func (svc *Service) cookie(w http.ResponseWriter, r *http.Request) {
	if !svc.o.Cookie {
		return
	}
	value := "dummy"
	if c, err := r.Cookie("JSESSIONID"); err == nil && c.Value != "" && len(c.Value) <= maxSessionBytes {
		value = c.Value
	}
	http.SetCookie(w, &http.Cookie{Name: "JSESSIONID", Value: value, Path: "/"}) //nolint:gosec // it is no secret, and tells who nobody is
}

// receive lets a request wait for messages.
func (svc *Service) receive(w http.ResponseWriter, r *http.Request, p place) {
	kind := receivers[p.name]
	callback := ""
	if kind.callback {
		var ok bool
		if callback, ok = callbackOf(w, r); !ok {
			return
		}
	}
	svc.cookie(w, r)
	notCached(w)
	if !kind.callback {
		cors(w, r)
	}
	_, _ = io.CopyN(io.Discard, r.Body, maxIgnoredBytes) // else nobody would notice that the client goes
	for {
		s, refusal := svc.open(r, Client{Session: p.session, Transport: p.name})
		if refusal != nil {
			refuse(w, refusal)
			return
		}
		if s.receive(r.Context(), &response{
			receiver: kind, w: w, rc: http.NewResponseController(w), callback: callback,
			limit: svc.o.ResponseLimit, patience: svc.o.WriteTimeout, stats: svc.o.Stats,
		}) {
			return
		}
	}
}

// maxIgnoredBytes is how much of a body is read that means nothing.
const maxIgnoredBytes = 4 << 10

// callbackOf is the function of the page that gets the frames. It answers
// requests without a good one.
func callbackOf(w http.ResponseWriter, r *http.Request) (string, bool) {
	q := r.URL.Query()
	name := q.Get("c")
	if !q.Has("c") {
		name = q.Get("callback")
	}
	if !q.Has("c") && !q.Has("callback") {
		text(w, http.StatusInternalServerError, `"callback" parameter required`)
		return "", false
	}
	good := func(c rune) bool {
		return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '_' || c == '.'
	}
	if name == "" || len(name) > maxCallbackBytes || strings.ContainsFunc(name, func(c rune) bool { return !good(c) }) {
		text(w, http.StatusInternalServerError, `invalid "callback" parameter`)
		return "", false
	}
	return name, true
}

const maxCallbackBytes = 64

// send takes messages of the client.
func (svc *Service) send(w http.ResponseWriter, r *http.Request, p place) {
	jsonp := p.name == "jsonp_send"
	svc.cookie(w, r)
	notCached(w)
	if !jsonp {
		cors(w, r)
	}
	s := svc.find(p.session)
	if s == nil {
		text(w, http.StatusNotFound, "404 Error: Page not found\n")
		return
	}
	if !s.enter() {
		svc.o.Stats.Refused[RefusedSenders].Add(1)
		refuse(w, unavailable("too many requests of this session at once"))
		return
	}
	defer s.leave()
	rc := http.NewResponseController(w)
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, int64(svc.o.quoted())))
	svc.o.Stats.BytesIn.Add(int64(len(body)))
	_ = rc.SetReadDeadline(time.Time{}) // the session may be paused for longer
	_ = rc.SetWriteDeadline(time.Time{})
	var ms messages
	if err == nil {
		if jsonp {
			body, err = formData(r, body)
		}
		if err == nil {
			ms, err = readMessages(body, false)
		}
	}
	var tooLarge *http.MaxBytesError
	switch {
	case err == nil:
	case errors.As(err, &tooLarge):
		svc.o.Stats.Refused[RefusedBody].Add(1)
		s.refuse(r.Context(), closeTooBig, "message too big")
		text(w, http.StatusRequestEntityTooLarge, "the messages are too large\n")
		return
	case errors.Is(err, errPayload), errors.Is(err, errBroken):
		svc.o.Stats.Refused[RefusedBody].Add(1)
		text(w, http.StatusInternalServerError, err.Error())
		return
	default: // the client went while it sent
		s.lose(err)
		return
	}
	s.deliver(r.Context(), ms)
	_ = rc.SetWriteDeadline(time.Now().Add(svc.o.WriteTimeout))
	w.Header().Set("Content-Type", "text/plain; charset=UTF-8")
	if jsonp {
		_, _ = io.WriteString(w, "ok")
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

// formData is the field d of a form, or the body where it is none.
func formData(r *http.Request, body []byte) ([]byte, error) {
	kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if kind != "application/x-www-form-urlencoded" {
		return body, nil
	}
	form, err := url.ParseQuery(string(body))
	if err != nil {
		return nil, errBroken
	}
	return []byte(form.Get("d")), nil
}
