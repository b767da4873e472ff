package app

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"rollcall/actors"
	"rollcall/protocol"
)

// api answers /api/v1/…, docs/protocol.md §9.
func (a *App) api(w http.ResponseWriter, r *http.Request, path string) {
	ctx, cancel := context.WithTimeout(r.Context(), askTimeout)
	defer cancel()
	c := &call{app: a, w: w, r: r.WithContext(ctx)}
	parts, err := unescape(strings.Split(strings.TrimPrefix(path, "/api/v1/"), "/"))
	if err != nil || !strings.HasPrefix(path, "/api/v1/") {
		c.nothing()
		return
	}
	at := func(i int) string {
		if i < len(parts) {
			return parts[i]
		}
		return ""
	}
	switch n := len(parts); {
	case n == 1 && at(0) == "rooms":
		c.on(verbs{"GET": c.rooms})
	case at(0) == "rooms" && n >= 2 && !protocol.ValidRoom(at(1)):
		c.fail(http.StatusBadRequest, "bad_request", "this is not the name of a room; a / in it is written %2F")
	case at(0) == "rooms" && n >= 2 && protocol.ServerRoom(at(1)):
		c.fail(http.StatusForbidden, "forbidden", "rooms whose names begin with @ belong to the server")
	case n == 2 && at(0) == "rooms":
		c.on(verbs{"GET": func() { c.room(at(1)) }})
	case n == 3 && at(0) == "rooms" && at(2) == "members":
		c.on(verbs{"GET": func() { c.members(at(1)) }})
	case n == 3 && at(0) == "rooms" && at(2) == "messages":
		c.on(verbs{"GET": func() { c.messages(at(1)) }, "POST": func() { c.publish(at(1)) }})
	case n == 3 && at(0) == "rooms" && at(2) == "timeline":
		c.on(verbs{"GET": func() { c.timeline(at(1)) }})
	case n == 4 && at(0) == "rooms" && at(2) == "members":
		c.on(verbs{"DELETE": func() { c.kick(at(1), at(3)) }})
	case n == 4 && at(0) == "users" && at(2) == "queue":
		c.on(verbs{"POST": func() { c.queue(at(1), at(3)) }})
	case n == 3 && at(0) == "rooms" && at(2) == "bans":
		c.on(c.bans(at(1)))
	case n == 4 && at(0) == "rooms" && at(2) == "bans":
		c.on(c.onBan(at(1), at(3)))
	case n == 1 && at(0) == "bans":
		c.on(c.bans(actors.Server))
	case n == 2 && at(0) == "bans":
		c.on(c.onBan(actors.Server, at(1)))
	case n == 2 && at(0) == "users":
		c.on(verbs{"GET": func() { c.user(at(1)) }, "DELETE": func() { c.endUser(at(1)) }})
	case n == 2 && at(0) == "sessions":
		c.on(verbs{"GET": func() { c.session(a.sockjs.aliases.session(at(1))) }, "DELETE": func() { c.end(a.sockjs.aliases.session(at(1))) }})
	default:
		c.nothing()
	}
}

func unescape(parts []string) ([]string, error) {
	for i, p := range parts {
		u, err := url.PathUnescape(p)
		if err != nil {
			return nil, err
		}
		parts[i] = u
	}
	return parts, nil
}

// call is one call of the API.
type call struct {
	app *App
	w   http.ResponseWriter
	r   *http.Request
}

// verbs are the methods that an address takes.
type verbs map[string]func()

// on answers the call by its method. Whatever is not GET changes things.
func (c *call) on(v verbs) {
	method := c.r.Method
	if method == http.MethodHead {
		method = http.MethodGet
	}
	f := v[method]
	if f == nil {
		allow := []string{}
		for _, m := range []string{"GET", "POST", "DELETE"} {
			if v[m] != nil {
				allow = append(allow, m)
			}
		}
		notAllowed(c.w, strings.Join(allow, ", "))
		return
	}
	if method == http.MethodGet || c.app.mayChange(c.w, c.r) {
		f()
	}
}

func (c *call) fail(status int, code, detail string) { problem(c.w, status, code, detail) }

func (c *call) nothing() {
	c.fail(http.StatusNotFound, "not_found", "there is nothing at this address")
}

// failed answers with what an actor, or the wait for it, came to.
func (c *call) failed(err error) {
	var e *protocol.Error
	switch {
	case errors.Is(err, actors.ErrNoRoom), errors.Is(err, actors.ErrNoSession), errors.Is(err, actors.ErrNoUser),
		errors.Is(err, actors.ErrNoBan), errors.Is(err, actors.ErrOffline):
		c.fail(http.StatusNotFound, "not_found", err.Error())
	case errors.As(err, &e):
		c.fail(statusOf(e.Code), string(e.Code), e.Message)
	default:
		c.w.Header().Set("Retry-After", "1")
		c.fail(http.StatusServiceUnavailable, "unavailable", "the server is too busy to answer")
	}
}

func statusOf(code protocol.ErrorCode) int {
	switch code {
	case protocol.ErrForbidden:
		return http.StatusForbidden
	case protocol.ErrTooLarge:
		return http.StatusRequestEntityTooLarge
	case protocol.ErrRateLimited:
		return http.StatusTooManyRequests
	case protocol.ErrUnavailable:
		return http.StatusServiceUnavailable
	case protocol.ErrInternal:
		return http.StatusInternalServerError
	}
	return http.StatusBadRequest
}

func (c *call) answer(status int, v any) {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err) // our own types
	}
	c.write(status, b)
}

func (c *call) write(status int, b []byte) {
	h := c.w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	c.w.WriteHeader(status)
	_, _ = c.w.Write(append(b, '\n'))
}

// number reads an integer of the query, from 1 to most; def where it is not
// given.
func (c *call) number(name string, def, most uint64) (uint64, bool) {
	q := c.r.URL.Query()
	if !q.Has(name) {
		return def, true
	}
	n, err := strconv.ParseUint(q.Get(name), 10, 64)
	if err != nil || n < 1 || n > most {
		c.fail(http.StatusBadRequest, "bad_request",
			name+" must be an integer from 1 to "+strconv.FormatUint(most, 10))
		return 0, false
	}
	return n, true
}

func (c *call) rooms() {
	limit, ok := c.number("limit", protocol.DefaultMembersLimit, protocol.MaxMembersLimit)
	if !ok {
		return
	}
	q := c.r.URL.Query()
	rooms, next, err := c.app.system.Rooms(c.r.Context(), q.Get("prefix"), q.Get("cursor"), int(limit))
	if err != nil {
		c.failed(err)
		return
	}
	c.answer(http.StatusOK, struct {
		Rooms []*actors.RoomInfo `json:"rooms"`
		Next  string             `json:"next,omitempty"`
	}{rooms, next})
}

func (c *call) room(name string) {
	info, err := c.app.system.Room(c.r.Context(), name)
	if err != nil {
		c.failed(err)
		return
	}
	c.answer(http.StatusOK, info)
}

func (c *call) members(room string) {
	limit, ok := c.number("limit", protocol.DefaultMembersLimit, protocol.MaxMembersLimit)
	if !ok {
		return
	}
	l, err := c.app.system.Members(c.r.Context(), room, c.r.URL.Query().Get("cursor"), int(limit))
	if err != nil {
		c.failed(err)
		return
	}
	c.write(http.StatusOK, l.AppendJSON(nil))
}

func (c *call) messages(room string) {
	limit, ok := c.number("limit", protocol.DefaultHistoryLimit, protocol.MaxHistoryLimit)
	if !ok {
		return
	}
	before, ok := c.number("before", 0, protocol.MaxID)
	if !ok {
		return
	}
	m, err := c.app.system.Messages(c.r.Context(), room, before, int(limit))
	if err != nil {
		c.failed(err)
		return
	}
	c.write(http.StatusOK, m.AppendJSON(nil))
}

// timeline tells what happened to a user. It names addresses of people, so it
// takes what a change takes.
func (c *call) timeline(room string) {
	if !c.app.mayChange(c.w, c.r) {
		return
	}
	q := c.r.URL.Query()
	user, session := q.Get("user"), q.Get("session")
	if (user == "") == (session == "") {
		c.fail(http.StatusBadRequest, "bad_request", "name a user or a session, and not both")
		return
	}
	t, err := c.app.system.Timeline(c.r.Context(), room, user, session)
	if err != nil {
		c.failed(err)
		return
	}
	c.answer(http.StatusOK, t)
}

// body reads the JSON object of a call into v; an empty body is an empty
// object where that will do.
func (c *call) body(v any, mayBeEmpty bool) bool {
	b, err := io.ReadAll(http.MaxBytesReader(c.w, c.r.Body, int64(c.app.cfg.Limits.MessageBytes)+4096))
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		c.fail(http.StatusRequestEntityTooLarge, "too_large", "the body is larger than limits.message_bytes allows")
		return false
	case err != nil:
		c.fail(http.StatusBadRequest, "bad_request", "the body could not be read")
		return false
	case len(b) == 0 && mayBeEmpty:
		return true
	}
	if !protocol.ValidData(b) || json.Unmarshal(b, v) != nil {
		c.fail(http.StatusBadRequest, "bad_request", "the body must be a JSON object of the fields in docs/protocol.md, without duplicates")
		return false
	}
	return true
}

func (c *call) publish(room string) {
	var p struct {
		Data json.RawMessage `json:"data"`
		User *string         `json:"user"`
		Name *string         `json:"name"`
		Key  *string         `json:"key"`

		Headers json.RawMessage `json:"headers"`
	}
	if !c.body(&p, false) {
		return
	}
	m := actors.Post{Room: room, Data: p.Data, Headers: p.Headers}
	switch {
	case p.Data == nil:
		c.fail(http.StatusBadRequest, "bad_request", "data is missing")
		return
	case len(p.Data) > c.app.cfg.Limits.MessageBytes:
		c.fail(http.StatusRequestEntityTooLarge, "too_large", "data is larger than limits.message_bytes")
		return
	case p.User != nil && !protocol.ValidUser(*p.User):
		c.fail(http.StatusBadRequest, "bad_request", "user must be 1 to 128 bytes of UTF-8 without control characters")
		return
	case p.Name != nil && !protocol.ValidName(*p.Name):
		c.fail(http.StatusBadRequest, "bad_request", "name must be 1 to 64 characters without control characters, not all blank")
		return
	case p.Key != nil && !protocol.ValidKey(*p.Key):
		c.fail(http.StatusBadRequest, "bad_request", "key must be 1 to 64 bytes")
		return
	case p.Headers != nil && !protocol.ValidHeaders(p.Headers):
		c.fail(http.StatusBadRequest, "bad_request", "headers must be an object of at most 32 strings, 2 KiB in all")
		return
	}
	m.User, m.Name, m.Key = text(p.User), text(p.Name), text(p.Key)
	if m.Name == "" {
		m.Name = m.User
	}
	posted, err := c.app.system.Post(c.r.Context(), m)
	if err != nil {
		c.failed(err)
		return
	}
	c.answer(http.StatusCreated, posted)
}

func text(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

// farewellText is what a call may say to the person it throws out.
type farewellText struct {
	Code   *int   `json:"code"`
	Reason string `json:"reason"`
}

func (c *call) farewell() (farewellText, bool) {
	var f farewellText
	if !c.body(&f, true) {
		return f, false
	}
	if !validReason(f.Reason) {
		c.fail(http.StatusBadRequest, "bad_request", badReason)
		return f, false
	}
	return f, true
}

const badReason = "reason must be at most 120 bytes of UTF-8 without control characters"

func validReason(s string) bool { return s == "" || len(s) <= 120 && protocol.ValidUser(s) }

func (c *call) kick(room, session string) {
	if _, ok := c.farewell(); !ok {
		return
	}
	if err := c.app.system.Kick(c.r.Context(), room, session); err != nil {
		c.failed(err)
		return
	}
	c.w.WriteHeader(http.StatusNoContent)
}

func (c *call) session(id string) {
	info, err := c.app.system.Session(id)
	if err != nil {
		c.failed(err)
		return
	}
	c.answer(http.StatusOK, info)
}

// ending reads with what code and words sessions are to be ended.
func (c *call) ending() (code protocol.CloseCode, reason string, ok bool) {
	f, ok := c.farewell()
	if !ok {
		return 0, "", false
	}
	code = protocol.CloseKicked
	if f.Code != nil {
		if *f.Code < 4000 || *f.Code > 4999 {
			c.fail(http.StatusBadRequest, "bad_request", "code must be an integer from 4000 to 4999")
			return 0, "", false
		}
		code = protocol.CloseCode(*f.Code)
	}
	return code, f.Reason, true
}

func (c *call) end(id string) {
	code, reason, ok := c.ending()
	if !ok {
		return
	}
	if err := c.app.system.End(id, code, reason); err != nil {
		c.failed(err)
		return
	}
	c.w.WriteHeader(http.StatusNoContent)
}
