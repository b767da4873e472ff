package stomp

import (
	"testing"

	"rollcall/protocol"
)

// Whatever a client says and however it is answered, nothing panics, what is
// kept is bounded, and each frame that is told can be read.
func FuzzConversation(f *testing.F) {
	for _, s := range []string{
		"SUBSCRIBE\nid:1\ndestination:/topic/r\nreceipt:a\n\n\x00UNSUBSCRIBE\nid:1\n\n\x00",
		"SUBSCRIBE\nid:e\ndestination:/user/queue/errors\n\n\x00SEND\ndestination:/app/r\n\n{}\x00DISCONNECT\nreceipt:b\n\n\x00",
		"BEGIN\ntransaction:t\n\n\x00SEND\ndestination:/topic/r\ntransaction:t\nk\\c:v\\n\n\nx\x00SEND\ndestination:/user/a%2Fb/queue/q\ntransaction:t\n\n1\x00COMMIT\ntransaction:t\nreceipt:c\n\n\x00",
		"ACK\nid:k-1\n\n\x00NACK\nid:k-1\n\n\x00ABORT\ntransaction:t\n\n\x00",
	} {
		f.Add(uint8(2), []byte{0, 1, 2, 3}, []byte(s))
	}
	f.Fuzz(func(t *testing.T, version uint8, answers, text []byte) {
		s, p := &Session{}, Parser{Limits: testLimits}
		v := []Version{V10, V11, V12}[version%3]
		var do func(effects []Effect)
		answer := func(id uint64, room string) {
			kind := byte(0)
			if len(answers) > 0 {
				kind, answers = answers[0], answers[1:]
			}
			switch kind % 5 {
			case 0:
				do(s.Answer(&protocol.OK{ID: id}))
			case 1:
				do(s.Answer(&protocol.Error{ID: id, Room: room, Code: protocol.ErrNotJoined, Message: "no"}))
			case 2:
				do(s.Answer(&protocol.Error{ID: id, Room: room, Code: protocol.ErrRateLimited, Message: "no", RetryMS: 1}))
			case 3:
				do(s.Answer(&protocol.MemberLeft{Stamp: protocol.Stamp{Room: room}, Session: "s_1", Reason: protocol.ReasonKicked}))
			} // or not at all
		}
		do = func(effects []Effect) {
			for _, e := range effects {
				switch e := e.(type) {
				case *Reply:
					written := AppendFrame(nil, s.Version(), e.Frame)
					if read, err := parse(s.Version(), DefaultLimits(1<<20), string(written), len(written)); err != nil || len(read) != 1 || read[0].Command != e.Command {
						t.Fatalf("%q is read as %+v, %v", written, read, err)
					}
				case *Fail:
					do(s.Answer(&protocol.Bye{Reason: e.Reason}))
				case *Connect:
					do(s.Answer(&protocol.Welcome{Session: "s_1", User: e.User, Server: "rollcall/1"}))
				case *Subscribe:
					answer(e.Join.ID, e.Join.Room)
				case *Unsubscribe:
					answer(e.ID, e.Room)
				case *Leave:
					answer(e.ID, e.Room)
				case *Send:
					for _, m := range e.Publishes {
						answer(m.ID, m.Room)
					}
					for _, d := range e.Directs {
						answer(d.ID, "")
						do(s.Deliver(d.Queue, d, Header{"rollcall-user", d.User}))
					}
				}
			}
		}
		do(s.Receive(&Frame{Command: "CONNECT", Headers: []Header{{"accept-version", v.String()}}}))
		for len(text) > 0 {
			p.Version = s.Version()
			frame, rest, err := p.Next(text)
			if err != nil {
				do(s.Broken(p.Broken(), err.Error()))
				break
			}
			if text = rest; frame != nil {
				do(s.Receive(frame))
			}
			if len(s.subscriptions) > maxSubscriptions || len(s.transactions) > maxTransactions || len(s.requests) > maxRequests+maxSends {
				t.Fatalf("%d subscriptions, %d transactions, %d requests", len(s.subscriptions), len(s.transactions), len(s.requests))
			}
		}
		do(s.Hurry())
	})
}
