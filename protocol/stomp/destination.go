package stomp

import (
	"net/url"
	"strings"

	"rollcall/protocol"
)

// kind of a destination.
type kind uint8

const (
	topic       kind = iota + 1 // /topic/{room}: its messages
	presence                    // /topic/{room}/presence: who is there
	application                 // /app/{room}: to publish to
	ownQueue                    // /user/queue/{name}: the user's own
	queueOf                     // /user/{user}/queue/{name}: another user's
)

// destination is where frames go to or come from.
type destination struct {
	kind kind
	room string // topic, presence, application
	user string // queueOf
	name string // of a queue
}

// served says which destinations there are, for who asked for another.
const served = "the destinations are /topic/{room}, /topic/{room}/presence and /user/queue/{name} to subscribe to, " +
	"and /topic/{room}, /app/{room} and /user/{user}/queue/{name} to send to"

// parseDestination reads a destination. A user's name may be percent-encoded,
// and is where it has a slash or a percent sign.
func parseDestination(s string) (destination, bool) {
	if room, ok := strings.CutPrefix(s, "/topic/"); ok {
		if of, ok := strings.CutSuffix(room, "/presence"); ok {
			return destination{kind: presence, room: of}, protocol.ValidRoom(of)
		}
		return destination{kind: topic, room: room}, protocol.ValidRoom(room)
	}
	if room, ok := strings.CutPrefix(s, "/app/"); ok {
		return destination{kind: application, room: room}, protocol.ValidRoom(room)
	}
	if name, ok := strings.CutPrefix(s, "/user/queue/"); ok {
		return destination{kind: ownQueue, name: name}, ValidQueue(name)
	}
	if rest, ok := strings.CutPrefix(s, "/user/"); ok {
		encoded, name, found := strings.Cut(rest, "/queue/")
		user, err := url.PathUnescape(encoded)
		return destination{kind: queueOf, user: user, name: name},
			found && err == nil && !strings.Contains(encoded, "/") && protocol.ValidUser(user) && ValidQueue(name)
	}
	return destination{}, false
}

// sendable reports whether a SEND may go there, as far as its name tells.
func (d destination) sendable() bool {
	return d.kind != presence && d.kind != ownQueue && !protocol.ServerRoom(d.room)
}

// ValidQueue reports whether name names a queue of a user: by the rules of room
// names.
func ValidQueue(name string) bool { return protocol.ValidRoom(name) }
