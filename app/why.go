package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"
	"unicode"

	"rollcall/actors"
	"rollcall/config"
	"rollcall/protocol"
	"rollcall/timeline"
)

// maxAnswerBytes is how much of an answer Why reads; a timeline is bounded far
// below that.
const maxAnswerBytes = 4 << 20

// Why asks a server for the timeline of a user in a room, prints it to stdout,
// or what went wrong to stderr, and returns the program's exit code: 0 it was
// told, 1 nothing is known or nobody answered.
func Why(ctx context.Context, c config.Why, stdout, stderr io.Writer) int {
	body, err := askWhy(ctx, c)
	if err != nil {
		_, _ = fmt.Fprintln(stderr, printable(err.Error()))
		return 1
	}
	if !c.JSON {
		var t actors.Timeline
		if err := json.Unmarshal(body, &t); err != nil {
			_, _ = fmt.Fprintf(stderr, "the answer is not a timeline: %v\n", err)
			return 1
		}
		body = prose(&t, time.Local)
	}
	if _, err := stdout.Write(body); err != nil {
		_, _ = fmt.Fprintln(stderr, err)
		return 1
	}
	return 0
}

// askWhy makes the call. The error says what to do about it, where that is
// known.
func askWhy(ctx context.Context, c config.Why) ([]byte, error) {
	address := c.URL + "/api/v1/rooms/" + url.PathEscape(c.Room) + "/timeline?user=" + url.QueryEscape(c.User)
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, address, http.NoBody)
	if err != nil {
		return nil, err
	}
	if c.Key != "" {
		r.Header.Set("Authorization", "Bearer "+c.Key)
	}
	resp, err := caller(2*askTimeout, c.SkipVerify).Do(r)
	if err != nil {
		return nil, fmt.Errorf("ask %s: %w", c.URL, errors.Unwrap(err))
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswerBytes))
	if err != nil {
		return nil, fmt.Errorf("ask %s: %w", c.URL, err)
	}
	if resp.StatusCode == http.StatusOK {
		return body, nil
	}
	var p struct{ Detail string }
	if json.Unmarshal(body, &p) != nil || p.Detail == "" {
		return nil, fmt.Errorf("ask %s: %s", c.URL, resp.Status)
	}
	return nil, errors.New(p.Detail)
}

// prose tells a timeline as a person would, oldest first, with the times of a
// zone.
func prose(t *actors.Timeline, zone *time.Location) []byte {
	var b strings.Builder
	w := &teller{b: &b, zone: zone, now: time.UnixMilli(t.Now).In(zone)}
	local := w.now.Format("MST")
	if local != "UTC" {
		local += w.now.Format(", UTC-07:00")
	}
	fmt.Fprintf(&b, "%s in room %s, as of %s (times are %s)\n\n", printable(t.User), t.Room, w.now.Format(time.DateTime), local)
	if t.Cut {
		b.WriteString("… what was before is no longer on record\n")
	}
	for _, e := range t.Events {
		who := "session " + e.Session
		if e.Session == "" {
			who = "the room"
		}
		fmt.Fprintf(&b, "%s  %s %s\n", w.at(e.At), who, printable(e.Text))
	}
	b.WriteString("\n")
	for i := range t.Members {
		w.member(&t.Members[i])
	}
	switch more := t.Sessions - len(t.Members); {
	case t.Sessions == 0:
		b.WriteString("now: not in the room\n")
	case more > 0:
		fmt.Fprintf(&b, "… and %d more sessions of this user are in the room\n", more)
	}
	return []byte(b.String())
}

// teller writes instants as somebody reads them at now.
type teller struct {
	b    *strings.Builder
	zone *time.Location
	now  time.Time
}

// at is an instant: its time, with the date where that is not today's.
func (w *teller) at(ms int64) string {
	t := time.UnixMilli(ms).In(w.zone)
	if y, m, d := t.Date(); w.now.Year() != y || w.now.Month() != m || w.now.Day() != d {
		return t.Format("2006-01-02 15:04:05.000")
	}
	return t.Format("15:04:05.000")
}

// ago is an instant, and how long ago that is.
func (w *teller) ago(ms int64) string {
	return w.at(ms) + " (" + timeline.Duration((w.now.UnixMilli()-ms)/1000*1000) + " ago)"
}

// member tells how a session stands, and what will become of it.
func (w *teller) member(m *actors.Presence) {
	fmt.Fprintf(w.b, "now: session %s is shown as %s, since %s", m.Session, m.State, w.at(m.StateSince))
	if next := m.Next; next != nil {
		fmt.Fprintf(w.b, ";\n     %s, it %s at %s", unless(next), becomes(next), w.at(next.At))
	}
	fmt.Fprintf(w.b, "\n     last active %s", w.ago(m.LastActiveAt))
	if m.LastHeardAt != 0 {
		fmt.Fprintf(w.b, "; last heard of %s", w.ago(m.LastHeardAt))
	}
	if m.Remote != "" {
		fmt.Fprintf(w.b, "; connected from %s", printable(m.Remote))
	}
	w.b.WriteString("\n")
}

func unless(n *actors.Next) string {
	switch {
	case n.Reason == protocol.ReasonExpired:
		return "whatever it does"
	case n.Reason == protocol.ReasonLost, n.Reason == protocol.ReasonClosed:
		return "unless it comes back"
	case n.State == protocol.StateUnresponsive:
		return "unless its page pings"
	}
	return "unless there is activity"
}

func becomes(n *actors.Next) string {
	if n.Reason != "" {
		return "leaves as " + string(n.Reason)
	}
	return "becomes " + string(n.State)
}

// printable makes text harmless to a terminal: what can't be seen, or steers
// it, is shown as a mark.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return unicode.ReplacementChar
		}
		return r
	}, s)
}
