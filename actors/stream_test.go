package actors

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"rollcall/presence"
	"rollcall/protocol"
)

// mute is the encoding of a client that takes streams: what is for it alone.
type mute struct{ lines }

// aspect is a stream of messages, or of presence: a line each, with its name.
type aspect struct {
	name  string
	who   bool
	epoch string
}

func (p aspect) At(epoch string) Stream { p.epoch = epoch; return p }

func (p aspect) Wants(m protocol.Message) bool {
	switch m.(type) {
	case *protocol.Joined:
		return true
	case *protocol.MessagePublished:
		return !p.who
	case *protocol.Signaled:
		return false
	}
	return p.who
}

func (p aspect) Append(b []byte, m protocol.Message) []byte {
	if !p.Wants(m) {
		return b
	}
	b = append(append(b, p.name...), ' ')
	return append(m.AppendJSON(b), '\n')
}

// subscriber is somebody who takes streams.
type subscriber struct {
	*wire
	client *Client
}

func (h *house) subscriber(name string) *subscriber {
	l := &subscriber{wire: &wire{}}
	l.client = h.sys.Connect(ClientOptions{Connection: l.wire, Encoding: mute{}, User: name, Name: name})
	l.client.Start(l.wire, nil)
	l.heard()
	return l
}

func (l *subscriber) subscribe(id uint64, room, name string, who bool) {
	l.client.Subscribe(l.wire, &protocol.Join{Request: protocol.Request{ID: id, Room: room}}, aspect{name: name, who: who}, 0)
}

func (l *subscriber) unsubscribe(id uint64, room, name string, who bool) {
	l.client.Unsubscribe(l.wire, protocol.Request{ID: id, Room: room}, aspect{name: name, who: who}, 0)
}

// heard is what came since the last time, each as "stream type offset more".
func (l *subscriber) heard() (all []string) {
	synctest.Wait()
	l.mu.Lock()
	defer l.mu.Unlock()
	for line := range strings.Lines(string(l.text)) {
		name, text, ok := strings.Cut(line, " {")
		if !ok {
			name, text = "-", line[1:]
		}
		var f struct {
			Type, Reason, Code string
			ID, Offset         uint64
			Data               json.RawMessage
			Members            []json.RawMessage
		}
		if err := json.Unmarshal([]byte("{"+text), &f); err != nil {
			panic(line)
		}
		s := fmt.Sprint(name, " ", f.Type)
		switch {
		case f.Type == "joined":
			s += fmt.Sprintf("@%d of %d", f.Offset, len(f.Members))
		case f.ID != 0:
			s += fmt.Sprint("#", f.ID)
		default:
			s += fmt.Sprint("@", f.Offset)
		}
		all = append(all, strings.TrimSpace(s+" "+f.Reason+f.Code+string(f.Data)))
	}
	l.text = nil
	return all
}

func (l *subscriber) want(t *testing.T, want ...string) {
	t.Helper()
	got := l.heard()
	slices.Sort(got) // streams have no order between them
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Fatalf("heard\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestStreamsOfAMember(t *testing.T) {
	for _, mode := range []struct {
		name  string
		modes presence.Modes
	}{
		{"full", presence.Modes{}},
		{"batch", presence.Modes{FullMax: 1, ListMax: 1000, Interval: 250 * time.Millisecond}},
	} {
		t.Run(mode.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := open(t, func(o *Options) { o.Modes = mode.modes })
				kim, bob := h.subscriber("kim"), h.connect("bob")
				settle := func() { time.Sleep(time.Second); synctest.Wait() }
				kim.subscribe(1, "r", "sub-0", false)
				settle()
				kim.want(t, "sub-0 joined@1 of 1", "- ok#1")
				bob.do(say(`join r`))
				settle()
				bob.do(say(`publish r "hi"`))
				bob.do(say(`signal r "typing"`))
				settle()
				kim.want(t, `sub-0 message@3 "hi"`)
				kim.subscribe(2, "r", "sub-1", true)
				settle()
				kim.want(t, "sub-1 joined@3 of 2", "- ok#2")
				kim.client.Do(kim.wire, &protocol.Publish{Request: protocol.Request{ID: 3, Room: "r"}, Data: json.RawMessage("1")}, 10)
				settle()
				kim.want(t, `sub-0 message@4 1`, "- ok#3")
				bob.do(say(`publish r "bye"`))
				kim.subscribe(4, "r", "sub-2", false)
				kim.unsubscribe(5, "r", "sub-2", false)
				kim.unsubscribe(6, "r", "sub-0", false)
				settle()
				kim.heard() // by when exactly it ended is nobody's promise
				bob.do(say(`publish r "more"`))
				settle()
				kim.want(t)
				kim.client.Do(kim.wire, &protocol.Leave{Request: protocol.Request{ID: 7, Room: "r"}}, 10)
				settle()
				kim.want(t, "- ok#7", "- leave@7 left") // its client tells it, or not; the stream is over
				bob.frames()
				h.inside("r", func(r *room) {
					r.fan(aspect{name: "another"})
					if len(r.fans) > 2 {
						t.Errorf("%d fan-outs, want the native one and a new one", len(r.fans))
					}
				})
			})
		})
	}
}

func TestStreamsThatEndOtherwise(t *testing.T) {
	for _, c := range []struct {
		name string
		end  func(h *house, kim *subscriber)
		want []string
	}{
		{"kicked", func(h *house, kim *subscriber) { _ = h.sys.Kick(context.Background(), "r", kim.client.ID()) },
			[]string{"who leave@3 kicked", "- leave@3 kicked"}},
		{"the session fails", func(h *house, kim *subscriber) { h.sys.Inject("r", kim.client.ID(), func() { panic("provoked") }) },
			[]string{"who leave@3 failed", "- leave@3 failed"}},
		{"the connection is lost", func(_ *house, kim *subscriber) { kim.client.Gone(kim.wire, protocol.ReasonLost, 0, "") }, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := open(t, func(o *Options) { o.Rules.ResumeWindow = 10 * time.Second })
				kim, bob := h.subscriber("kim"), h.connect("bob", "r")
				kim.subscribe(1, "r", "who", true)
				kim.subscribe(2, "r", "what", false)
				kim.heard()
				c.end(h, kim)
				kim.want(t, c.want...)
				bob.do(say(`publish r "anybody?"`))
				kim.want(t)
				time.Sleep(time.Minute)
				bob.frames()
				h.inside("r", func(r *room) {
					if n := r.present.Count().Sessions; n != 1 {
						t.Errorf("%d members, want bob", n)
					}
				})
			})
		})
	}
}

// All of a transaction, or none.
func TestPublishAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := open(t, func(o *Options) { o.Limits.PublishRate, o.Limits.ErrorRate = 3, 10 })
		kim := h.subscriber("kim")
		kim.subscribe(1, "a", "a", false)
		kim.subscribe(2, "b", "b", false)
		kim.heard()
		to := func(rooms ...string) (all []*protocol.Publish) {
			for i, r := range rooms {
				all = append(all, &protocol.Publish{Request: protocol.Request{ID: uint64(10 + i), Room: r}, Data: json.RawMessage("1")})
			}
			return all
		}
		kim.client.PublishAll(kim.wire, 10, to("a", "@server"), 0, 10)
		kim.want(t, "- error#10 forbidden")
		kim.client.PublishAll(kim.wire, 9, nil, 1, 10)
		kim.client.PublishAll(kim.wire, 10, to("a", "b"), 1, 10)
		kim.want(t, "- error#10 rate_limited")
		if kim.client.PublishAll(kim.wire, 10, to("a", "b", "a", "b", "a"), 1, 10) {
			t.Error("more than the bucket holds passed, and it was not full")
		}
		kim.want(t, "- error#10 rate_limited")
		time.Sleep(time.Second)
		if !kim.client.PublishAll(kim.wire, 10, to("a", "b", "a", "b", "a"), 1, 10) {
			t.Error("refused by a full bucket")
		}
		kim.heard()
		time.Sleep(time.Second)
		kim.client.PublishAll(kim.wire, 9, nil, 1, 10)
		kim.want(t, "- error#9 rate_limited")
		time.Sleep(time.Second) // it is paid for
		if !kim.client.PublishAll(kim.wire, 10, to("a"), 1, 10) {
			t.Error("refused")
		}
	})
}

// Members whose streams are equal share their bytes, and a message is encoded
// once for all of them.
func TestEqualStreamsShareAFanout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := open(t, nil)
		for i := range 20 {
			l := h.subscriber(fmt.Sprint("u", i))
			l.subscribe(1, "r", "sub-0", false)
			l.subscribe(2, "r", fmt.Sprint("sub-", i%2+1), true)
		}
		synctest.Wait()
		h.inside("r", func(r *room) {
			if len(r.fans) != 3 {
				t.Errorf("%d fan-outs, want 3", len(r.fans))
			}
		})
	})
}
