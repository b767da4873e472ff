//go:build faults

package presence

// Miscount makes the room count a session of a user that is not there, for
// tests of the audit.
func (r *Room) Miscount(user string) { r.users[user]++ }
