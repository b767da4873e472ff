package actors

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"strconv"
	"strings"
	"time"

	"rollcall/internal/logs"
	"rollcall/protocol"
)

// A client whose connection broke is away: it keeps its place in its rooms,
// which send it nothing, until it resumes on another connection or its time is
// over.

// Gone says that a connection ended, by its peer or by the transport. Where
// the rules hold a session that ends like this it is away from now on; else it
// leaves each of its rooms, unless an ending came before. Why says more of it,
// for the timeline; it may be empty.
func (c *Client) Gone(from Connection, reason protocol.Reason, code protocol.CloseCode, why string) {
	ending := &end{reason: reason, code: code, cause: cause{text: why}}
	hold := c.sys.o.Rules.hold(reason)
	now := c.sys.now()
	c.mu.Lock()
	switch {
	case c.conn != from || c.ended.Load():
		c.mu.Unlock()
		return
	case hold <= 0 || !c.sys.holdOne():
		c.conclude(ending)
		c.mu.Unlock()
		c.leaveAll()
		return
	}
	c.conn, c.away, c.ending = nil, now+hold, ending
	c.part(from)
	c.mu.Unlock()
	c.sys.reminders.set(c)
	if c.sys.logJoins() {
		c.sys.log.Info(logs.Away, logs.Fields{"session": c.id, "user": c.user, "reason": reason, "window_ms": hold.Milliseconds()})
	}
}

// part tells the sessions that a connection is not the client's any more. c.mu
// is held.
func (c *Client) part(from Connection) {
	m := &parted{from, c.held(), unixMS()}
	for _, v := range c.visits {
		if v.box != nil {
			v.box.PostUserMessage(m)
		}
	}
}

// held is why the client is away; none where it is not. c.mu is held.
func (c *Client) held() (e end) {
	if c.away > 0 {
		e = *c.ending
	}
	return e
}

// giveUp ends a client whose time away is over.
func (c *Client) giveUp(now time.Duration) {
	c.mu.Lock()
	ended := c.away > 0 && now >= c.away && c.conclude(c.ending)
	c.mu.Unlock()
	if ended {
		c.leaveAll()
	}
}

// back takes the client out of those who are away. c.mu is held.
func (c *Client) back() {
	if c.away > 0 {
		c.away = 0
		c.sys.stats.Away.Add(-1)
	}
}

// overdue reports whether the client should have ended long ago.
func (c *Client) overdue(now time.Duration) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.away > 0 && now > c.away+time.Minute
}

// state is how the client's members stand.
func (c *Client) state(now time.Duration) protocol.State {
	v, _ := c.judge(now)
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.away > 0 && c.ending.reason == protocol.ReasonLost:
		return protocol.StateLost
	case v == unresponsive:
		return protocol.StateUnresponsive
	case v == active, v == endAway:
		return protocol.StateActive
	}
	return protocol.StateIdle // beyond that, the client's end is on its way
}

// holdOne takes one more among those who are away. It reports false, and
// counts, where as many are as may be.
func (s *System) holdOne() bool {
	if n, limit := s.stats.Away.Add(1), s.o.Limits.Away; limit > 0 && n > int64(limit) {
		s.stats.Away.Add(-1)
		s.stats.HoldsRefused.Add(1)
		return false
	}
	return true
}

// Resume puts a new connection in the place of the one that a token was given
// to, whether that has ended yet or not. Nil: the token is none of this server,
// was used before, or came too late; or the session speaks another Encoding.
// Start follows.
func (s *System) Resume(token string, o ClientOptions) *Client {
	id, nth, ok := s.tokens.read(token)
	c := s.clients.get(id)
	if !ok || c == nil || c.enc != o.Encoding || !c.take(nth, o) {
		s.stats.ResumesRefused.Add(1)
		return nil
	}
	s.stats.Resumes.Add(1)
	c.show(s.now())
	if s.logJoins() {
		s.log.Info(logs.Resumed, logs.Fields{"session": c.id, "user": c.user})
	}
	return c
}

// take is the client's side of Resume: its nth connection after the first is
// to be o's.
func (c *Client) take(nth uint32, o ClientOptions) bool {
	c.mu.Lock()
	old := c.conn
	if c.ended.Load() || c.resumes != nth {
		c.mu.Unlock()
		return false
	}
	c.resumes++
	c.back()
	c.conn, c.welcomed = o.Connection, false
	c.promise.Store(int64(o.Promise))
	c.seen.Store(int64(c.sys.now()))
	if old != nil {
		c.part(old)
	}
	c.flow.mu.Lock()
	c.flow.paused.Store(nil)
	c.flow.mu.Unlock()
	c.mu.Unlock()
	if old != nil { // its end was not seen yet; or two clients have one token
		code := protocol.CloseReplaced
		c.say(old, &protocol.Bye{Code: code, Reason: string(protocol.ReasonReplaced), Reconnect: code.Reconnect()})
		old.Close(uint16(code), string(protocol.ReasonReplaced))
	}
	return true
}

// tokens makes and reads the tokens of resumes: a session's id and which of
// its connections it is for, under a code (HMAC-SHA-256, RFC 2104) whose key
// lives as long as the process. Nothing is kept for them: a token that was used
// is for a connection that has been.
type tokens struct{ key [32]byte }

func newTokens() *tokens {
	t := &tokens{}
	rand.Read(t.key[:])
	return t
}

// mint makes the token for a session's nth connection after the first.
func (t *tokens) mint(session string, nth uint32) string {
	text := session + "." + strconv.FormatUint(uint64(nth), 36)
	return text + "." + t.code(text)
}

func (t *tokens) code(text string) string {
	mac := hmac.New(sha256.New, t.key[:])
	mac.Write([]byte(text))
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil)[:16])
}

// read tells what a token is for, and whether it is one of this server's.
func (t *tokens) read(token string) (session string, nth uint32, ok bool) {
	at := strings.LastIndexByte(token, '.')
	if at < 0 || subtle.ConstantTimeCompare([]byte(token[at+1:]), []byte(t.code(token[:at]))) == 0 {
		return "", 0, false
	}
	session, number, _ := strings.Cut(token[:at], ".")
	n, err := strconv.ParseUint(number, 36, 32)
	return session, uint32(n), err == nil
}
