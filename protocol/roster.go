package protocol

import "slices"

// memberBytes is about how long a member without data is, in JSON.
const memberBytes = 128

// Roster is a room's member list that is told to many: its JSON is made once,
// and goes on where members were added since. Its room uses it, from one
// goroutine. The zero value is empty.
type Roster struct {
	members []Member
	json    []byte // of the first of them, with a comma behind each
	done    int    // so many
}

// NewRoster makes a roster of ms, in their order, and owns the slice.
func NewRoster(ms []Member) *Roster { return &Roster{members: ms} }

// Add puts a member at the end.
func (r *Roster) Add(m Member) { r.members = append(r.members, m) }

// Members are all of them. They are the roster's, and not to be changed.
func (r *Roster) Members() []Member { return r.members }

// appendJSON appends the list as a JSON array.
func (r *Roster) appendJSON(b []byte) []byte {
	r.json = slices.Grow(r.json, (len(r.members)-r.done)*memberBytes)
	for ; r.done < len(r.members); r.done++ {
		r.json = append(r.members[r.done].AppendJSON(r.json), ',')
	}
	b = append(append(b, '['), r.json...)
	if r.done > 0 {
		b = b[:len(b)-1]
	}
	return append(b, ']')
}
