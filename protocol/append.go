package protocol

import (
	"strconv"
	"unicode/utf8"
)

// The encoders are written by hand because a room encodes every event while
// its members wait: no reflection, no allocation beyond b.

// object appends members of one JSON object. Field names are constants of
// this package and need no escaping.
type object struct{ b []byte }

func begin(b []byte, kind string) object {
	b = append(b, `{"type":"`...)
	b = append(b, kind...)
	return object{append(b, '"')}
}

func (o *object) end() []byte { return append(o.b, '}') }

func (o *object) name(name string) {
	if o.b[len(o.b)-1] != '{' {
		o.b = append(o.b, ',')
	}
	o.b = append(o.b, '"')
	o.b = append(o.b, name...)
	o.b = append(o.b, '"', ':')
}

func (o *object) str(name, v string) {
	o.name(name)
	o.b = AppendString(o.b, v)
}

func (o *object) strIf(name, v string) {
	if v != "" {
		o.str(name, v)
	}
}

func (o *object) uint(name string, v uint64) {
	o.name(name)
	o.b = strconv.AppendUint(o.b, v, 10)
}

func (o *object) uintIf(name string, v uint64) {
	if v != 0 {
		o.uint(name, v)
	}
}

func (o *object) int(name string, v int64) {
	o.name(name)
	o.b = strconv.AppendInt(o.b, v, 10)
}

// intIf appends v where it is positive: a limit, for one.
func (o *object) intIf(name string, v int) {
	if v > 0 {
		o.int(name, int64(v))
	}
}

func (o *object) bool(name string, v bool) {
	o.name(name)
	o.b = strconv.AppendBool(o.b, v)
}

// raw appends JSON as it stands; none is null.
func (o *object) raw(name string, v []byte) {
	o.name(name)
	if len(v) == 0 {
		o.b = append(o.b, "null"...)
		return
	}
	o.b = append(o.b, v...)
}

func (o *object) rawIf(name string, v []byte) {
	if len(v) > 0 {
		o.raw(name, v)
	}
}

func (o *object) count(c Count) {
	o.name("count")
	o.b = append(o.b, `{"sessions":`...)
	o.b = strconv.AppendInt(o.b, int64(c.Sessions), 10)
	o.b = append(o.b, `,"users":`...)
	o.b = strconv.AppendInt(o.b, int64(c.Users), 10)
	if c.Observers != 0 {
		o.b = append(o.b, `,"observers":`...)
		o.b = strconv.AppendInt(o.b, int64(c.Observers), 10)
	}
	o.b = append(o.b, '}')
}

func (o *object) members(ms []Member) { list(o, "members", ms, (*Member).AppendJSON) }

func (o *object) messages(ms []MessagePublished) {
	list(o, "messages", ms, (*MessagePublished).AppendJSON)
}

// list appends an array; of none it is [], never null.
func list[T any](o *object, name string, all []T, one func(*T, []byte) []byte) {
	o.name(name)
	o.b = append(o.b, '[')
	for i := range all {
		if i > 0 {
			o.b = append(o.b, ',')
		}
		o.b = one(&all[i], o.b)
	}
	o.b = append(o.b, ']')
}

func (o *object) request(r *Request) {
	o.uintIf("id", r.ID)
	o.strIf("room", r.Room)
}

// stamp appends what events have in common; no room within a Presence.
func (o *object) stamp(s *Stamp) {
	o.strIf("room", s.Room)
	o.uint("offset", s.Offset)
	o.uintIf("prev", s.Prev)
	o.int("at", s.At)
}

const hex = "0123456789abcdef"

// AppendString appends s as a JSON string (RFC 8259 §7). Bytes that are not
// UTF-8 become U+FFFD.
func AppendString(b []byte, s string) []byte {
	b = append(b, '"')
	from := 0
	for i := 0; i < len(s); {
		c := s[i]
		if c >= utf8.RuneSelf {
			r, n := utf8.DecodeRuneInString(s[i:])
			if r == utf8.RuneError && n == 1 {
				b = append(append(b, s[from:i]...), "\uFFFD"...)
				from = i + 1
			}
			i += n
			continue
		}
		if c >= 0x20 && c != '"' && c != '\\' {
			i++
			continue
		}
		b = append(b, s[from:i]...)
		switch c {
		case '"', '\\':
			b = append(b, '\\', c)
		case '\n':
			b = append(b, '\\', 'n')
		case '\r':
			b = append(b, '\\', 'r')
		case '\t':
			b = append(b, '\\', 't')
		default:
			b = append(b, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
		}
		i++
		from = i
	}
	return append(append(b, s[from:]...), '"')
}

// AppendJSON appends the member as one JSON object.
func (m *Member) AppendJSON(b []byte) []byte {
	o := object{append(b, '{')}
	o.str("session", m.Session)
	o.str("user", m.User)
	o.str("name", m.Name)
	o.str("state", string(m.State))
	o.rawIf("data", m.Data)
	o.int("since", m.Since)
	return o.end()
}

// Commands.

// AppendJSON appends the command's frame.
func (c *Join) AppendJSON(b []byte) []byte {
	o := begin(b, "join")
	o.request(&c.Request)
	o.rawIf("data", c.Data)
	o.intIf("history", c.History)
	if c.Since != nil {
		o.name("since")
		o.b = append(o.b, '{')
		o.str("epoch", c.Since.Epoch)
		o.uint("offset", c.Since.Offset)
		o.b = append(o.b, '}')
	}
	if c.Observe {
		o.bool("observe", true)
	}
	return o.end()
}

// AppendJSON appends the command's frame.
func (c *Leave) AppendJSON(b []byte) []byte {
	o := begin(b, "leave")
	o.request(&c.Request)
	return o.end()
}

// AppendJSON appends the command's frame.
func (c *Publish) AppendJSON(b []byte) []byte {
	o := begin(b, "publish")
	o.request(&c.Request)
	o.raw("data", c.Data)
	o.strIf("key", c.Key)
	o.rawIf("headers", c.Headers)
	return o.end()
}

// AppendJSON appends the command's frame.
func (c *Update) AppendJSON(b []byte) []byte {
	o := begin(b, "update")
	o.request(&c.Request)
	o.raw("data", c.Data)
	return o.end()
}

// AppendJSON appends the command's frame.
func (c *Signal) AppendJSON(b []byte) []byte {
	o := begin(b, "signal")
	o.request(&c.Request)
	o.raw("data", c.Data)
	return o.end()
}

// AppendJSON appends the command's frame.
func (c *Members) AppendJSON(b []byte) []byte {
	o := begin(b, "members")
	o.request(&c.Request)
	o.intIf("limit", c.Limit)
	o.strIf("cursor", c.Cursor)
	return o.end()
}

// AppendJSON appends the command's frame.
func (c *History) AppendJSON(b []byte) []byte {
	o := begin(b, "history")
	o.request(&c.Request)
	o.uintIf("before", c.Before)
	o.intIf("limit", c.Limit)
	return o.end()
}

// AppendJSON appends the command's frame.
func (c *Ping) AppendJSON(b []byte) []byte {
	o := begin(b, "ping")
	o.request(&c.Request)
	return o.end()
}

// Answers.

// AppendJSON appends the message as one JSON object.
func (m *Welcome) AppendJSON(b []byte) []byte {
	o := begin(b, "welcome")
	o.str("session", m.Session)
	o.str("user", m.User)
	o.str("name", m.Name)
	o.strIf("resume", m.Resume)
	o.bool("resumed", m.Resumed)
	o.int("heartbeat_ms", m.HeartbeatMS)
	o.int("idle_ms", m.IdleMS)
	o.int("disconnect_ms", m.DisconnectMS)
	o.int("resume_window_ms", m.ResumeWindowMS)
	o.int("max_bytes", int64(m.MaxBytes))
	o.str("server", m.Server)
	o.int("at", m.At)
	return o.end()
}

// AppendJSON appends the message as one JSON object.
func (m *OK) AppendJSON(b []byte) []byte {
	o := begin(b, "ok")
	o.uint("id", m.ID)
	o.uintIf("offset", m.Offset)
	o.strIf("epoch", m.Epoch)
	o.strIf("message", m.Message)
	return o.end()
}

// AppendJSON appends the message as one JSON object.
func (m *Joined) AppendJSON(b []byte) []byte {
	o := begin(b, "joined")
	o.uintIf("id", m.ID)
	o.str("room", m.Room)
	o.str("epoch", m.Epoch)
	o.uint("offset", m.Offset)
	o.str("session", m.Session)
	o.str("mode", string(m.Mode))
	if m.Observer {
		o.bool("observer", true)
	}
	o.count(m.Count)
	if m.Roster != nil {
		o.name("members")
		o.b = m.Roster.appendJSON(o.b)
	} else {
		o.members(m.Members)
	}
	o.bool("recovered", m.Recovered)
	o.messages(m.Messages)
	return o.end()
}

// AppendJSON appends the message as one JSON object.
func (m *MemberList) AppendJSON(b []byte) []byte {
	o := begin(b, "members")
	o.uintIf("id", m.ID)
	o.str("room", m.Room)
	o.members(m.Members)
	o.strIf("next", m.Next)
	o.count(m.Count)
	return o.end()
}

// AppendJSON appends the message as one JSON object.
func (m *Messages) AppendJSON(b []byte) []byte {
	o := begin(b, "history")
	o.uintIf("id", m.ID)
	o.str("room", m.Room)
	o.messages(m.Messages)
	o.bool("more", m.More)
	return o.end()
}

// AppendJSON appends the message as one JSON object.
func (m *Pong) AppendJSON(b []byte) []byte {
	o := begin(b, "pong")
	o.uintIf("id", m.ID)
	o.int("at", m.At)
	return o.end()
}

// AppendJSON appends the message as one JSON object.
func (e *Error) AppendJSON(b []byte) []byte {
	o := begin(b, "error")
	o.uintIf("id", e.ID)
	o.str("code", string(e.Code))
	o.str("message", e.Message)
	o.strIf("room", e.Room)
	o.uintIf("retry_ms", uint64(max(e.RetryMS, 0)))
	return o.end()
}

// AppendJSON appends the message as one JSON object.
func (m *Bye) AppendJSON(b []byte) []byte {
	o := begin(b, "bye")
	o.uint("code", uint64(m.Code))
	o.str("reason", m.Reason)
	o.bool("reconnect", m.Reconnect)
	o.int("after_ms", m.AfterMS)
	return o.end()
}

// Events.

// AppendJSON appends the event as one JSON object.
func (m *MemberJoined) AppendJSON(b []byte) []byte { return m.fields(begin(b, "join")) }

func (m *MemberJoined) entry(b []byte) []byte { return m.fields(object{append(b, '{')}) }

func (m *MemberJoined) fields(o object) []byte {
	o.stamp(&m.Stamp)
	o.name("member")
	o.b = m.Member.AppendJSON(o.b)
	o.bool("first", m.First)
	return o.end()
}

// AppendJSON appends the event as one JSON object.
func (m *MemberLeft) AppendJSON(b []byte) []byte { return m.fields(begin(b, "leave")) }

func (m *MemberLeft) entry(b []byte) []byte { return m.fields(object{append(b, '{')}) }

func (m *MemberLeft) fields(o object) []byte {
	o.stamp(&m.Stamp)
	o.str("session", m.Session)
	o.str("user", m.User)
	o.str("reason", string(m.Reason))
	o.bool("last", m.Last)
	o.uintIf("code", uint64(m.Code))
	return o.end()
}

// AppendJSON appends the event as one JSON object.
func (m *MemberUpdated) AppendJSON(b []byte) []byte { return m.fields(begin(b, "update")) }

func (m *MemberUpdated) entry(b []byte) []byte { return m.fields(object{append(b, '{')}) }

func (m *MemberUpdated) fields(o object) []byte {
	o.stamp(&m.Stamp)
	o.str("session", m.Session)
	o.str("user", m.User)
	o.strIf("state", string(m.State))
	o.rawIf("data", m.Data)
	return o.end()
}

// AppendJSON appends the event as one JSON object.
func (m *MessagePublished) AppendJSON(b []byte) []byte {
	o := begin(b, "message")
	o.stamp(&m.Stamp)
	o.str("message", m.Message)
	o.strIf("session", m.Session)
	o.str("user", m.User)
	o.str("name", m.Name)
	o.raw("data", m.Data)
	o.strIf("key", m.Key)
	o.rawIf("headers", m.Headers)
	return o.end()
}

// AppendJSON appends the event as one JSON object.
func (m *Presence) AppendJSON(b []byte) []byte {
	o := begin(b, "presence")
	o.str("room", m.Room)
	o.uint("from", m.From)
	o.uint("offset", m.Offset)
	o.uintIf("prev", m.Prev)
	o.int("at", m.At)
	list(&o, "joins", m.Joins, (*MemberJoined).entry)
	list(&o, "leaves", m.Leaves, (*MemberLeft).entry)
	list(&o, "updates", m.Updates, (*MemberUpdated).entry)
	o.count(m.Count)
	return o.end()
}

// AppendJSON appends the event as one JSON object.
func (m *Occupancy) AppendJSON(b []byte) []byte {
	o := begin(b, "occupancy")
	o.str("room", m.Room)
	o.uint("offset", m.Offset)
	o.int("at", m.At)
	o.count(m.Count)
	return o.end()
}

// AppendJSON appends the event as one JSON object.
func (m *ModeChanged) AppendJSON(b []byte) []byte {
	o := begin(b, "mode")
	o.str("room", m.Room)
	o.str("mode", string(m.Mode))
	o.uint("offset", m.Offset)
	return o.end()
}

// AppendJSON appends the event as one JSON object.
func (m *Signaled) AppendJSON(b []byte) []byte {
	o := begin(b, "signal")
	o.str("room", m.Room)
	o.str("session", m.Session)
	o.str("user", m.User)
	o.raw("data", m.Data)
	return o.end()
}
