package actors

import (
	"cmp"
	"errors"
	"slices"

	"rollcall/protocol"
)

// PerUser is how many sessions of a user there may be at one time.
type PerUser string

// The rules.
const (
	AnyNumber PerUser = "off"
	Newest    PerUser = "newest" // one: a new session replaces the one there is
	Oldest    PerUser = "oldest" // one: a new session is turned away, unless the one there is lost
)

// ErrOffline says that a user has no session.
var ErrOffline = errors.New("there is no session of this user")

// User tells what is known of a user's sessions, by their ids, or returns
// ErrOffline. It looks at every session of the server.
func (s *System) User(user string) ([]SessionInfo, error) {
	all := s.clients.of(user)
	if len(all) == 0 {
		return nil, ErrOffline
	}
	slices.SortFunc(all, func(a, b *Client) int { return cmp.Compare(a.id, b.id) })
	infos := make([]SessionInfo, len(all))
	for i, c := range all {
		infos[i] = c.info()
	}
	return infos, nil
}

// EndUser ends every session of a user as End does, or returns ErrOffline.
func (s *System) EndUser(user string, code protocol.CloseCode, text string) error {
	all := s.clients.of(user)
	if len(all) == 0 {
		return ErrOffline
	}
	for _, c := range all {
		s.end(c, code, text)
	}
	return nil
}

// of returns the clients of a user.
func (cs *clients) of(user string) (all []*Client) {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	for _, c := range cs.by {
		if c.user == user {
			all = append(all, c)
		}
	}
	return all
}

// admit adds a client, if the rule of one per user lets it in. It returns who
// has to go instead, or where it is not let in the client itself; nil: nobody.
// One that has resumed is in already.
func (cs *clients) admit(c *Client, rule PerUser) (goes *Client) {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	if c.ended.Load() || cs.by[c.id] == c {
		return nil
	}
	if rule == Newest || rule == Oldest {
		goes = cs.one[c.user]
		if goes != nil && rule == Oldest && goes.connection() != nil && !goes.ended.Load() {
			return c
		}
		if cs.one == nil {
			cs.one = map[string]*Client{}
		}
		cs.one[c.user] = c
	}
	cs.by[c.id] = c
	return goes
}
