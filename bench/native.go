package bench

import (
	"bytes"
	"context"
	"fmt"
)

// native is Rollcall by its own protocol (docs/protocol.md).
type native struct{}

func (native) Name() string { return "rollcall" }

func (native) Start(ctx context.Context, o StartOptions) (*Target, error) {
	return startRollcall(ctx, o)
}

func (native) Handshake(c *Client) (target, header string) {
	if c.Token != "" {
		return "/ws?resume=" + c.Token, ""
	}
	return "/ws?user=" + c.User + "&room=" + c.Room, ""
}

func (native) Opening(c *Client) []string {
	if c.Token == "" {
		return nil // the room is in the query
	}
	return []string{fmt.Sprintf(`{"type":"join","id":1,"room":%q,"since":{"epoch":%q,"offset":%d}}`, c.Room, c.Epoch, c.Last)}
}

func (native) resumes() {}

func (native) Publish(dst []byte, c *Client, body []byte) []byte {
	dst = append(dst, `{"type":"publish","room":"`...)
	dst = append(dst, c.Room...)
	dst = append(dst, `","data":"`...)
	dst = append(dst, body...)
	return append(dst, `"}`...)
}

func (native) Join(dst []byte, c *Client, data []byte) []byte {
	return about(dst, `{"type":"join","room":"`, c, data)
}

func (native) Leave(dst []byte, c *Client) []byte {
	dst = append(dst, `{"type":"leave","id":3,"room":"`...)
	dst = append(dst, c.Room...)
	return append(dst, `"}`...)
}

func (native) Update(dst []byte, c *Client, data []byte) []byte {
	return about(dst, `{"type":"update","room":"`, c, data)
}

// about is a command about the client's room, with data.
func about(dst []byte, begin string, c *Client, data []byte) []byte {
	dst = append(dst, begin...)
	dst = append(dst, c.Room...)
	dst = append(dst, `","data":`...)
	dst = append(dst, data...)
	return append(dst, '}')
}

func (native) Read(c *Client, m []byte) Event { return readNative(c, m) }

// readNative looks at the first fields of a message, in the order in which the
// server writes them.
func readNative(c *Client, m []byte) Event {
	switch word(m, `{"type":"`) {
	case "message":
		return numbered(Message, m)
	case "join":
		e := numbered(Presence, m)
		e.Change = 1
		return e
	case "leave":
		e := numbered(Presence, m)
		e.Change = -1
		return e
	case "update":
		return numbered(Presence, m)
	case "presence":
		return counted(numbered(Presence, m), m)
	case "occupancy":
		e := counted(Event{Kind: Presence}, m)
		e.First, e.Last = c.Last+1, number(m, `"offset":`)
		return e
	case "joined":
		if c.Token != "" && bytes.Contains(m, []byte(`"recovered":false`)) {
			return Event{Kind: Refused}
		}
		c.Epoch = string(field(m, `"epoch":"`))
		return counted(Event{Kind: Joined, Last: number(m, `"offset":`)}, m)
	case "welcome":
		if c.Token != "" && bytes.Contains(m, []byte(`"resumed":false`)) {
			return Event{Kind: Refused}
		}
		c.Token = string(field(m, `"resume":"`))
	case "ok":
		if bytes.HasPrefix(m, []byte(`{"type":"ok","id":3`)) {
			return Event{Kind: Left}
		}
	case "error", "bye":
		return Event{Kind: Refused}
	}
	return Event{}
}

// numbered is an event with its place in the order: it follows prev, which is
// right behind the offset where it is not the offset before, or covers all from
// "from" on.
func numbered(k Kind, m []byte) Event {
	e := Event{Kind: k, Last: number(m, `"offset":`)}
	e.First = e.Last
	_, behind, _ := bytes.Cut(m, []byte(`"offset":`))
	if from := number(m[:len(m)-len(behind)], `"from":`); from != 0 {
		e.First = from
	}
	if prev := number(behind[:min(len(behind), 30)], `,"prev":`); prev != 0 {
		e.First = prev + 1
	}
	return e
}

func counted(e Event, m []byte) Event {
	e.Counted, e.Count = true, int(number(m, `"count":{"sessions":`))
	return e
}

// word is the text between begin, which m must start with, and the next quote.
func word(m []byte, begin string) string {
	if len(m) < len(begin) || string(m[:len(begin)]) != begin {
		return ""
	}
	m = m[len(begin):]
	end := bytes.IndexByte(m, '"')
	if end < 0 {
		return ""
	}
	switch string(m[:end]) { // constants, so that nothing is allocated
	case "message":
		return "message"
	case "join":
		return "join"
	case "leave":
		return "leave"
	case "left":
		return "left"
	case "update":
		return "update"
	case "presence":
		return "presence"
	case "occupancy":
		return "occupancy"
	case "joined":
		return "joined"
	case "welcome":
		return "welcome"
	case "ok":
		return "ok"
	case "error":
		return "error"
	case "bye":
		return "bye"
	}
	return ""
}

// field is the text behind the first key, up to the next quote; nil: there is
// none. Key ends in a quote.
func field(m []byte, key string) []byte {
	_, rest, found := bytes.Cut(m, []byte(key))
	end := bytes.IndexByte(rest, '"')
	if !found || end < 0 {
		return nil
	}
	return rest[:end]
}

// number is the one behind the first key; 0: there is none.
func number(m []byte, key string) uint64 {
	i := bytes.Index(m, []byte(key))
	if i < 0 {
		return 0
	}
	var n uint64
	for _, d := range m[i+len(key):] {
		if d < '0' || d > '9' {
			break
		}
		n = n*10 + uint64(d-'0')
	}
	return n
}
