package bench

import "bytes"

// hub is the dialect of the hubs in bench/peers (bench/peers/protocol.go). They
// don't number what they tell.
type hub struct{}

func (hub) Handshake(c *Client) (target, header string) {
	return "/?user=" + c.User + "&room=" + c.Room, ""
}

func (hub) Opening(*Client) []string { return nil } // the room is in the query

func (hub) Publish(dst []byte, _ *Client, body []byte) []byte {
	dst = append(dst, `{"type":"publish","data":"`...)
	dst = append(dst, body...)
	return append(dst, `"}`...)
}

func (hub) Join(dst []byte, _ *Client, data []byte) []byte {
	dst = append(dst, `{"type":"join","data":`...)
	return append(append(dst, data...), '}')
}

func (hub) Update(dst []byte, _ *Client, data []byte) []byte {
	dst = append(dst, `{"type":"update","data":`...)
	return append(append(dst, data...), '}')
}

func (hub) Leave(dst []byte, _ *Client) []byte {
	return append(dst, `{"type":"leave"}`...)
}

// Read reads what may be several messages, joined by newlines: then it says the
// most telling of them.
func (hub) Read(_ *Client, m []byte) (e Event) {
	for len(m) > 0 {
		line := m
		if i := bytes.IndexByte(m, '\n'); i >= 0 {
			line, m = m[:i], m[i+1:]
		} else {
			m = nil
		}
		e.add(readHub(line))
	}
	return e
}

// telling orders the kinds: of several messages that come as one, what the most
// telling is counts.
var telling = [...]int{Other: 0, Message: 1, Presence: 2, Left: 3, Joined: 4, Refused: 5}

// add makes e the event of two messages, one after the other.
func (e *Event) add(next Event) {
	if telling[next.Kind] > telling[e.Kind] {
		e.Kind = next.Kind
	}
	switch {
	case next.Counted:
		e.Counted, e.Count = true, next.Count
	case e.Counted:
		e.Count += next.Change
	default:
		e.Change += next.Change
	}
}

func readHub(m []byte) Event {
	switch kind, found := bytes.CutPrefix(m, []byte(`{"type":"`)); {
	case !found:
	case bytes.HasPrefix(kind, []byte(`message"`)):
		return Event{Kind: Message}
	case bytes.HasPrefix(kind, []byte(`update"`)):
		return Event{Kind: Presence}
	case bytes.HasPrefix(kind, []byte(`join"`)):
		return Event{Kind: Presence, Change: 1}
	case bytes.HasPrefix(kind, []byte(`leave"`)):
		return Event{Kind: Presence, Change: -1}
	case bytes.HasPrefix(kind, []byte(`members"`)):
		return Event{Kind: Joined, Counted: true, Count: int(number(m, `"count":`))}
	case bytes.HasPrefix(kind, []byte(`left"`)):
		return Event{Kind: Left}
	case bytes.HasPrefix(kind, []byte(`error"`)):
		return Event{Kind: Refused}
	}
	return Event{}
}
