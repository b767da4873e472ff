package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// centrifugo is Centrifugo 6, by its JSON protocol over WebSocket. Rooms are
// channels of one namespace, and who a client is comes with a header of the
// handshake. A client asks for the list of members once it has subscribed.
//
// Its channels tell of joins and leaves, and of no changes in between, so it is
// not a Mover.
type centrifugo struct{}

func (centrifugo) Name() string { return "centrifugo" }

const centrifugoUser = "X-User-Id"

// centrifugoConfig is the configuration: rooms keep what ours keep by default,
// everybody may do everything, and no bound is lower than ours in the same run.
func centrifugoConfig(host, port string, o *StartOptions) ([]byte, error) {
	return json.MarshalIndent(map[string]any{
		"http_server": map[string]any{"address": host, "port": port},
		"log":         map[string]any{"level": "warn"},
		"client": map[string]any{
			"user_id_http_header": centrifugoUser,
			"queue_max_size":      64 << 20, // bytes that wait for one client
			"ping_interval":       o.pingInterval().String(),
			"pong_timeout":        min(8*time.Second, o.pingInterval()/2).String(), // 8s is the default
			"allowed_origins":     []string{},
		},
		"channel": map[string]any{"namespaces": []any{map[string]any{
			"name":     "room",
			"presence": !o.Quiet, "join_leave": !o.Quiet, "force_push_join_leave": !o.Quiet,
			"history_size": 100, "history_ttl": "1h",
			"allow_subscribe_for_client": true, "allow_publish_for_subscriber": true, "allow_presence_for_subscriber": true,
		}}},
		"usage_stats": map[string]any{"disabled": true},
	}, "", "\t")
}

func (centrifugo) Start(ctx context.Context, o StartOptions) (*Target, error) {
	if o.Centrifugo == "" {
		return nil, fmt.Errorf("%w: not given (--centrifugo PATH)", ErrAbsent)
	}
	path, err := findTool(o.Centrifugo)
	if err != nil {
		return nil, err
	}
	version, err := runTool(o.Dir, path, "version")
	if err != nil {
		return nil, err
	}
	address, err := freeAddress()
	if err != nil {
		return nil, err
	}
	host, port, _ := strings.Cut(address, ":")
	config, err := centrifugoConfig(host, port, &o)
	if err != nil {
		return nil, fmt.Errorf("encode the configuration: %w", err)
	}
	file := filepath.Join(o.Dir, "centrifugo.json")
	if err := os.WriteFile(file, config, 0o600); err != nil {
		return nil, fmt.Errorf("write the configuration: %w", err)
	}
	t, err := startPeer(ctx, launch{path: path, args: []string{"--config=" + file}, address: address}, strings.TrimSpace(version))
	if err == nil {
		t.Config = string(config)
	}
	return t, err
}

func (centrifugo) Handshake(c *Client) (target, header string) {
	return "/connection/websocket", centrifugoUser + ": " + c.User + "\r\n"
}

// The ids of the commands say which answer is whose.
func (centrifugo) Opening(c *Client) []string {
	return []string{fmt.Sprintf(`{"id":1,"connect":{}}
{"id":2,"subscribe":{"channel":"room:%s"}}
{"id":3,"presence":{"channel":"room:%s"}}`, c.Room, c.Room)}
}

func (centrifugo) Publish(dst []byte, c *Client, body []byte) []byte {
	dst = append(dst, `{"id":4,"publish":{"channel":"room:`...)
	dst = append(dst, c.Room...)
	dst = append(dst, `","data":"`...)
	dst = append(dst, body...)
	return append(dst, `"}}`...)
}

func (centrifugo) Leave(dst []byte, c *Client) []byte {
	dst = append(dst, `{"id":5,"unsubscribe":{"channel":"room:`...)
	dst = append(dst, c.Room...)
	return append(dst, `"}}`...)
}

var centrifugoPong = []string{"{}"}

// Read reads replies and pushes, one in a line.
func (d centrifugo) Read(c *Client, m []byte) (e Event) {
	for len(m) > 0 {
		line := m
		if i := bytes.IndexByte(m, '\n'); i >= 0 {
			line, m = m[:i], m[i+1:]
		} else {
			m = nil
		}
		next := d.read(c, line)
		if next.Reply != nil {
			e.Reply = next.Reply
		}
		e.add(next)
	}
	return e
}

func (centrifugo) read(c *Client, m []byte) Event {
	if push, found := bytes.CutPrefix(m, []byte(`{"push":{"channel":"`)); found {
		push = push[max(0, bytes.IndexByte(push, '"')):]
		switch {
		case bytes.HasPrefix(push, []byte(`","pub":`)):
			return Event{Kind: Message}
		case bytes.HasPrefix(push, []byte(`","join":`)):
			return known(c, push, (*crowdSet).add)
		case bytes.HasPrefix(push, []byte(`","leave":`)):
			return known(c, push, (*crowdSet).remove)
		}
		return Event{}
	}
	switch {
	case string(m) == "{}": // a ping
		return Event{Reply: centrifugoPong}
	case bytes.HasPrefix(m, []byte(`{"id":3,"error":{"code":108,`)): // members are not listed
		return Event{Kind: Joined}
	case bytes.Contains(m[:min(len(m), 20)], []byte(`"error":`)):
		return Event{Kind: Refused}
	case bytes.HasPrefix(m, []byte(`{"id":1,`)):
		c.View = &crowdSet{}
	case bytes.HasPrefix(m, []byte(`{"id":3,`)):
		e := known(c, m, (*crowdSet).add)
		if e.Kind == Presence {
			e.Kind = Joined
		}
		return e
	case bytes.HasPrefix(m, []byte(`{"id":5,`)):
		return Event{Kind: Left}
	}
	return Event{}
}

// known notes who came or went. The list of members and what is pushed meanwhile
// are in no order, so the same join may be told by both: each client has a set.
func known(c *Client, m []byte, note func(*crowdSet, uint64)) Event {
	s, _ := c.View.(*crowdSet)
	if s == nil {
		return Event{Kind: Refused}
	}
	for key := []byte(`"user":"`); ; {
		i := bytes.Index(m, key)
		if i < 0 {
			return Event{Kind: Presence, Counted: true, Count: s.count}
		}
		m = m[i+len(key):]
		end := max(0, bytes.IndexByte(m, '"'))
		note(s, lastNumber(m[:end]))
	}
}

// lastNumber is the one that a name ends in, by its last seven digits: the index
// of a user's client.
func lastNumber(name []byte) (n uint64) {
	for unit := uint64(1); len(name) > 0 && unit < 1e7; unit *= 10 {
		d := name[len(name)-1] - '0'
		if d > 9 {
			break
		}
		n += uint64(d) * unit
		name = name[:len(name)-1]
	}
	return n
}

// crowdSet is a set of clients, by index.
type crowdSet struct {
	words []uint64
	count int
}

func (s *crowdSet) add(i uint64) {
	if more := int(i/64) + 1 - len(s.words); more > 0 {
		s.words = append(s.words, make([]uint64, more)...)
	}
	if bit := uint64(1) << (i % 64); s.words[i/64]&bit == 0 {
		s.words[i/64] |= bit
		s.count++
	}
}

func (s *crowdSet) remove(i uint64) {
	if bit := uint64(1) << (i % 64); i/64 < uint64(len(s.words)) && s.words[i/64]&bit != 0 {
		s.words[i/64] &^= bit
		s.count--
	}
}
