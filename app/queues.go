package app

import (
	"encoding/json"
	"net/http"
	"sync"

	"rollcall/actors"
	"rollcall/protocol"
	"rollcall/protocol/stomp"
)

// queues finds a user's STOMP sessions: what is sent to /user/{user}/queue/{name}
// goes to those that are subscribed to /user/queue/{name} now, and is kept for
// nobody.
type queues struct {
	mu sync.Mutex
	by map[string]map[*stompClient]struct{} // by user; no set is empty
}

func (q *queues) add(user string, c *stompClient) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.by == nil {
		q.by = map[string]map[*stompClient]struct{}{}
	}
	if q.by[user] == nil {
		q.by[user] = map[*stompClient]struct{}{}
	}
	q.by[user][c] = struct{}{}
}

func (q *queues) remove(user string, c *stompClient) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if delete(q.by[user], c); len(q.by[user]) == 0 {
		delete(q.by, user)
	}
}

func (q *queues) of(user string) (all []*stompClient) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for c := range q.by[user] {
		all = append(all, c)
	}
	return all
}

// deliver sends a message to a user's queue, and returns how many subscriptions
// got it. From is nil where it comes from the API.
func (q *queues) deliver(stats *stompStats, d *stomp.Direct, from *actors.Client) (heard int) {
	var sender []stomp.Header
	if from != nil {
		sender = []stomp.Header{
			{Name: "rollcall-user", Value: from.User()}, {Name: "rollcall-name", Value: from.Name()}, {Name: "rollcall-session", Value: from.ID()},
		}
	}
	for _, c := range q.of(d.User) {
		c.run(func(s *stomp.Session) []stomp.Effect {
			effects := s.Deliver(d.Queue, d, sender...)
			heard += len(effects)
			return effects
		})
	}
	stats.Queued.Add(uint64(heard))
	if heard == 0 {
		stats.Unheard.Add(1)
	}
	return heard
}

// queue answers POST /api/v1/users/{user}/queue/{name}.
func (c *call) queue(user, name string) {
	var p struct {
		Data    json.RawMessage `json:"data"`
		Headers json.RawMessage `json:"headers"`
	}
	switch {
	case !protocol.ValidUser(user):
		c.fail(http.StatusBadRequest, "bad_request", "user must be 1 to 128 bytes of UTF-8 without control characters")
		return
	case !stomp.ValidQueue(name):
		c.fail(http.StatusBadRequest, "bad_request", "this is not the name of a queue; a / in it is written %2F")
		return
	case !c.body(&p, false):
		return
	case p.Data == nil:
		c.fail(http.StatusBadRequest, "bad_request", "data is missing")
		return
	case len(p.Data) > c.app.cfg.Limits.MessageBytes:
		c.fail(http.StatusRequestEntityTooLarge, "too_large", "data is larger than limits.message_bytes")
		return
	case p.Headers != nil && !protocol.ValidHeaders(p.Headers):
		c.fail(http.StatusBadRequest, "bad_request", "headers must be an object of at most 32 strings, 2 KiB in all")
		return
	}
	d := &stomp.Direct{User: user, Queue: name, Data: p.Data, Headers: p.Headers}
	c.answer(http.StatusOK, struct {
		Delivered int `json:"delivered"`
	}{c.app.queues.deliver(&c.app.stomps, d, nil)})
}
