package main

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
)

// text is a hub of which the messages are seen as they are.
func text(quiet bool) *hub[string] {
	return newHub(options{quiet: quiet}, func(b []byte) string { return string(b) })
}

func enter(t *testing.T, h *hub[string], user, room string) *member[string] {
	t.Helper()
	w := httptest.NewRecorder()
	q := url.Values{"user": {user}, "room": {room}}
	m := h.newMember(w, httptest.NewRequest(http.MethodGet, "/?"+q.Encode(), nil))
	if m == nil {
		t.Fatalf("%s may not enter %s: %s", user, room, w.Body)
	}
	m.join(nil)
	return m
}

// wantTold compares what waits for a member, and takes it.
func wantTold(t *testing.T, m *member[string], want ...string) {
	t.Helper()
	got, _ := m.out.take(nil)
	if !slices.Equal(got, want) {
		t.Errorf("%s was told\n%s\nwant\n%s", m.id, strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestARoomTellsOfItsMembersAndWhatTheySay(t *testing.T) {
	h := text(false)
	ann := enter(t, h, "ann", "r")
	wantTold(t, ann, `{"type":"members","count":1,"members":[{"id":"ann"}]}`)
	bob := enter(t, h, "bob", "r")
	wantTold(t, ann, `{"type":"join","id":"bob"}`)
	if got, _ := bob.out.take(nil); len(got) != 1 || !strings.HasPrefix(got[0], `{"type":"members","count":2,`) {
		t.Errorf("bob was told %s, want the list of two", got)
	}
	other := enter(t, h, "eve", "s")
	wantTold(t, other, `{"type":"members","count":1,"members":[{"id":"eve"}]}`)

	bob.receive([]byte(`{"type":"publish","data":"hi"}`))
	bob.receive([]byte(`{"type":"update","data":{"mood":1}}`))
	bob.join(nil) // it is there
	same := []string{`{"type":"message","id":"bob","data":"hi"}`, `{"type":"update","id":"bob","data":{"mood":1}}`}
	wantTold(t, ann, same...)
	wantTold(t, bob, same...)
	bob.receive([]byte(`{"type":"leave"}`))
	bob.receive([]byte(`{"type":"publish","data":"hi"}`))
	wantTold(t, bob, `{"type":"left"}`, `{"type":"error","data":"join first"}`)
	bob.receive([]byte(`{"type":"join","data":7}`))
	wantTold(t, ann, `{"type":"leave","id":"bob"}`, `{"type":"join","id":"bob","data":7}`)
	bob.end()
	bob.end()
	ann.receive([]byte(`nothing`))
	ann.receive([]byte(`{"type":"shout"}`))
	wantTold(t, ann, `{"type":"leave","id":"bob"}`, `{"type":"error","data":"not JSON"}`, `{"type":"error","data":"unknown type"}`)
	wantTold(t, other)
	ann.end()
	other.end()
	if len(h.rooms) != 0 {
		t.Errorf("%d rooms are left, want none", len(h.rooms))
	}
}

func TestAQuietRoomOnlyCounts(t *testing.T) {
	h := text(true)
	ann, bob := enter(t, h, "ann", "r"), enter(t, h, "bob", "r")
	bob.end()
	wantTold(t, ann, `{"type":"members","count":1,"members":null}`)
}

func TestWhoIsNobodyMayNotEnter(t *testing.T) {
	for _, query := range []string{"", "?user=ann", "?room=r", "?user=ann&room=" + strings.Repeat("r", 65)} {
		w := httptest.NewRecorder()
		if m := text(false).newMember(w, httptest.NewRequest(http.MethodGet, "/"+query, nil)); m != nil || w.Code != 400 {
			t.Errorf("%q is answered %d, want 400", query, w.Code)
		}
	}
}

func TestAnOutboxThatIsFullIsClosed(t *testing.T) {
	o := newOutbox[int]()
	for i := range outboxMessages {
		o.put(i)
	}
	if _, open := o.take(nil); !open {
		t.Fatalf("closed with %d messages, which it may have", outboxMessages)
	}
	for i := range outboxMessages + 1 {
		o.put(i)
	}
	o.put(0)
	<-o.ready
	if left, open := o.take(nil); open || len(left) != 0 {
		t.Errorf("open %t with %d messages, want closed and empty", open, len(left))
	}
}

func TestAnOutboxReusesWhatWasTaken(t *testing.T) {
	o := newOutbox[*int]()
	n := 1
	o.put(&n)
	all, _ := o.take(nil)
	next, _ := o.take(all)
	if len(next) != 0 || all[0] != nil {
		t.Errorf("%d wait and the taken one is %v, want none and nil", len(next), all[0])
	}
	big := make([]*int, 0, keptMessages+1)
	if _, _ = o.take(big); cap(o.waiting) != 0 {
		t.Errorf("room for %d is kept, want at most %d", cap(o.waiting), keptMessages)
	}
}
