package actors

import (
	"crypto/rand"
	"encoding/base32"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// clients is who is connected, by session.
type clients struct {
	mu  sync.Mutex
	by  map[string]*Client
	one map[string]*Client // by user, where there may be one of each; else nil
}

func (cs *clients) remove(c *Client) {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	delete(cs.by, c.id)
	if cs.one[c.user] == c {
		delete(cs.one, c.user)
	}
}

func (cs *clients) get(id string) *Client {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	return cs.by[id]
}

func (cs *clients) all() []*Client {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	all := make([]*Client, 0, len(cs.by))
	for _, c := range cs.by {
		all = append(all, c)
	}
	return all
}

var letters = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

// newSessionID makes a session's id: 80 random bits. It is no secret: every
// member of a room sees it.
func newSessionID() string {
	var b [10]byte
	rand.Read(b[:])
	return "s_" + letters.EncodeToString(b[:])
}

// newBanID makes a ban's id: 80 random bits.
func newBanID() string {
	var b [10]byte
	rand.Read(b[:])
	return "b_" + letters.EncodeToString(b[:])
}

var (
	messagePrefix = func() string {
		var b [5]byte
		rand.Read(b[:])
		return "m_" + letters.EncodeToString(b[:])
	}()
	messageCount atomic.Uint64
)

// newMessageID makes a message's id: a random part of this process, and a
// count.
func newMessageID() string {
	return messagePrefix + strconv.FormatUint(messageCount.Add(1), 36)
}

func unixMS() int64 { return time.Now().UnixMilli() }
