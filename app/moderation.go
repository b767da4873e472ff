package app

import (
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"rollcall/actors"
	"rollcall/bans"
	"rollcall/protocol"
)

// bans are the verbs of the bans of a room, or of the whole server.
func (c *call) bans(room string) verbs {
	return verbs{"GET": func() { c.listBans(room) }, "POST": func() { c.ban(room) }}
}

// onBan are the verbs of one of them.
func (c *call) onBan(room, id string) verbs {
	return verbs{"DELETE": func() { c.unban(room, id) }}
}

// listBans answers a page of bans, in the order of their making. The cursor is
// the place in that order, so that what is lifted between two pages does not
// matter.
func (c *call) listBans(room string) {
	if !c.app.mayChange(c.w, c.r) {
		return
	}
	limit, ok := c.number("limit", protocol.DefaultMembersLimit, protocol.MaxMembersLimit)
	if !ok {
		return
	}
	var after bans.Ban
	if q := c.r.URL.Query(); q.Has("cursor") {
		at, id, _ := strings.Cut(q.Get("cursor"), ".")
		n, err := strconv.ParseInt(at, 36, 64)
		if err != nil {
			c.fail(http.StatusBadRequest, "bad_request", "cursor is not one of this server's")
			return
		}
		after = bans.Ban{At: n, ID: id}
	}
	all, err := c.app.system.Bans(c.r.Context(), room)
	if err != nil {
		c.failed(err)
		return
	}
	from, found := slices.BinarySearchFunc(all, after, bans.Compare)
	if found {
		from++
	}
	page, next := all[from:], ""
	if len(page) > int(limit) {
		page = page[:limit]
		last := page[limit-1]
		next = strconv.FormatInt(last.At, 36) + "." + last.ID
	}
	c.answer(http.StatusOK, struct {
		Bans []bans.Ban `json:"bans"`
		Next string     `json:"next,omitempty"`
	}{page, next})
}

func (c *call) ban(room string) {
	var p struct {
		User    *string `json:"user"`
		Session *string `json:"session"`
		ForMS   *int64  `json:"for_ms"`
		Reason  string  `json:"reason"`
	}
	if !c.body(&p, false) {
		return
	}
	switch {
	case (p.User == nil) == (p.Session == nil):
		c.fail(http.StatusBadRequest, "bad_request", "either user or session must be given, and not both")
		return
	case p.User != nil && !protocol.ValidUser(*p.User):
		c.fail(http.StatusBadRequest, "bad_request", "user must be 1 to 128 bytes of UTF-8 without control characters")
		return
	case p.Session != nil && (!strings.HasPrefix(*p.Session, "s_") || !protocol.ValidUser(*p.Session)):
		c.fail(http.StatusBadRequest, "bad_request", "session must be the id of a session, s_…")
		return
	case p.ForMS != nil && (*p.ForMS < 1 || *p.ForMS > protocol.MaxID):
		c.fail(http.StatusBadRequest, "bad_request", "for_ms must be an integer from 1 to 2^53-1")
		return
	case !validReason(p.Reason):
		c.fail(http.StatusBadRequest, "bad_request", badReason)
		return
	}
	b := bans.Ban{Who: bans.Who{User: text(p.User), Session: text(p.Session)}, Reason: p.Reason}
	if p.ForMS != nil {
		b.Until = min(time.Now().UnixMilli()+*p.ForMS, protocol.MaxID)
	}
	b, err := c.app.system.Ban(c.r.Context(), room, b)
	if errors.Is(err, actors.ErrBansFull) {
		c.fail(http.StatusConflict, "full", err.Error())
		return
	}
	if err != nil {
		c.failed(err)
		return
	}
	c.answer(http.StatusCreated, b)
}

func (c *call) unban(room, id string) {
	if err := c.app.system.Unban(c.r.Context(), room, id); err != nil {
		c.failed(err)
		return
	}
	c.w.WriteHeader(http.StatusNoContent)
}

// user answers a page of a user's sessions, by their ids.
func (c *call) user(user string) {
	if !c.app.mayChange(c.w, c.r) {
		return
	}
	limit, ok := c.number("limit", protocol.DefaultMembersLimit, protocol.MaxMembersLimit)
	if !ok {
		return
	}
	page, err := c.app.system.User(user)
	if err != nil {
		c.failed(err)
		return
	}
	after := c.r.URL.Query().Get("cursor")
	for len(page) > 0 && page[0].Session <= after {
		page = page[1:]
	}
	next := ""
	if len(page) > int(limit) {
		page = page[:limit]
		next = page[limit-1].Session
	}
	c.answer(http.StatusOK, struct {
		User     string               `json:"user"`
		Sessions []actors.SessionInfo `json:"sessions"`
		Next     string               `json:"next,omitempty"`
	}{user, page, next})
}

func (c *call) endUser(user string) {
	code, reason, ok := c.ending()
	if !ok {
		return
	}
	if err := c.app.system.EndUser(user, code, reason); err != nil {
		c.failed(err)
		return
	}
	c.w.WriteHeader(http.StatusNoContent)
}
