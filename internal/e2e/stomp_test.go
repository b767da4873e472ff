package e2e

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/gobwas/ws"
	"github.com/stretchr/testify/require"

	"rollcall/client"
	"rollcall/config"
	"rollcall/protocol"
	"rollcall/protocol/stomp"
)

// line is what a client's messages go over.
type line interface {
	Read() ([]byte, error) // blocks; a *client.CloseError at the end
	Write(message []byte) error
	Abort()
}

// stomper is one STOMP client, without any will of its own.
type stomper struct {
	line
	t      testing.TB
	parser stomp.Parser
	unread []byte
	seen   map[string]bool // members, as its presence tells it
}

func (s *server) stomp(t testing.TB) *stomper { return s.stompAt(t, "/stomp") }

// stompAt opens a WebSocket of plain STOMP somewhere else, or with a query.
func (s *server) stompAt(t testing.TB, path string) *stomper {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	conn, err := client.Connect(ctx, "ws://"+s.addr+path, client.Options{Protocols: stomp.Subprotocols, CloseTimeout: patience})
	require.NoError(t, err)
	t.Cleanup(conn.Abort)
	require.NoError(t, conn.NetConn().SetReadDeadline(time.Now().Add(patience)))
	return newStomper(t, conn)
}

func newStomper(t testing.TB, l line) *stomper {
	return &stomper{line: l, t: t, parser: stomp.Parser{Limits: stomp.DefaultLimits(1 << 20), Version: stomp.V12}, seen: map[string]bool{}}
}

// tell sends a frame: "SEND destination:/topic/r | body".
func (p *stomper) tell(short string) {
	p.t.Helper()
	head, body, _ := strings.Cut(short, " | ")
	words := strings.Fields(head)
	f := &stomp.Frame{Command: words[0], Body: []byte(body)}
	for _, w := range words[1:] {
		name, value, _ := strings.Cut(w, ":")
		f.Headers = append(f.Headers, stomp.Header{Name: name, Value: value})
	}
	require.NoError(p.t, p.Write(stomp.AppendFrame(nil, stomp.V12, f)))
}

// code waits for the end, and is what it closed with.
func (p *stomper) code() protocol.CloseCode {
	p.t.Helper()
	for {
		_, err := p.next()
		var closed *client.CloseError
		if errors.As(err, &closed) {
			return closed.Code
		}
		require.NoError(p.t, err)
	}
}

// next returns the next frame, or the end.
func (p *stomper) next() (*stomp.Frame, error) {
	for {
		if len(p.unread) == 0 {
			b, err := p.Read()
			if err != nil {
				return nil, err
			}
			p.unread = b
		}
		f, rest, err := p.parser.Next(p.unread)
		require.NoError(p.t, err)
		if p.unread = rest; f != nil {
			return f, nil
		}
	}
}

// want returns the next frame of a command, and notes what presence says on the
// way.
func (p *stomper) want(command string) *stomp.Frame {
	p.t.Helper()
	for {
		f, err := p.next()
		require.NoError(p.t, err, "before %s", command)
		if strings.HasSuffix(f.Header("destination"), "/presence") {
			p.note(f)
		}
		if f.Command == command {
			return f
		}
	}
}

func (p *stomper) note(f *stomp.Frame) {
	p.t.Helper()
	m, err := protocol.DecodeMessage(f.Body)
	require.NoError(p.t, err)
	note(p.seen, m)
}

// note applies what a message says of who is there.
func note(seen map[string]bool, m protocol.Message) {
	switch m := m.(type) {
	case *protocol.Joined:
		clear(seen)
		for i := range m.Members {
			seen[m.Members[i].Session] = true
		}
	case *protocol.MemberJoined:
		seen[m.Member.Session] = true
	case *protocol.MemberLeft:
		delete(seen, m.Session)
	case *protocol.Presence:
		for i := range m.Joins {
			seen[m.Joins[i].Member.Session] = true
		}
		for i := range m.Leaves {
			delete(seen, m.Leaves[i].Session)
		}
	}
}

// A room full of both kinds: after many steps all of them know the same members.
func TestNativeAndSTOMPClientsAgree(t *testing.T) {
	inBothModes(t, func(t *testing.T, mode string) {
		s := start(t, func(c *config.Config) {
			c.Transport.Mode = mode
			c.Limits.RequestRate, c.Limits.PublishRate = 0, 0
			c.Presence.FullMax, c.Presence.Interval = 4, 10*time.Millisecond // the room is now in one mode, now in the other
		})
		watcher := s.stomp(t)
		watcher.tell("CONNECT accept-version:1.2 login:watcher")
		watcher.want("CONNECTED")
		watcher.tell("SUBSCRIBE id:w destination:/topic/r/presence receipt:w")
		watcher.want("RECEIPT")
		native := connect(t, s.addr, "room=r&user=native")
		seen := map[string]bool{}
		note(seen, want[*protocol.Joined](native))

		const walkers = 4
		random := rand.New(rand.NewPCG(1, 2))
		stomps, ids := make([]*stomper, walkers), make([]map[string]bool, walkers)
		natives, in := make([]*peer, walkers), make([]bool, walkers)
		for i := range walkers {
			stomps[i], ids[i] = s.stomp(t), map[string]bool{}
			stomps[i].tell(fmt.Sprintf("CONNECT accept-version:1.2 login:stomp%d", i))
			stomps[i].want("CONNECTED")
			natives[i] = connect(t, s.addr, fmt.Sprintf("user=native%d", i))
		}
		for step := range 400 {
			i := random.IntN(walkers)
			switch random.IntN(4) {
			case 0, 1:
				id, kind := "a", ""
				if random.IntN(2) == 0 {
					id, kind = "b", "/presence"
				}
				verb := "SUBSCRIBE"
				if ids[i][id] {
					verb = "UNSUBSCRIBE"
				}
				ids[i][id] = !ids[i][id]
				stomps[i].tell(fmt.Sprintf("%s id:%s destination:/topic/r%s receipt:%d", verb, id, kind, step))
				stomps[i].want("RECEIPT")
			case 2:
				if in[i] = !in[i]; in[i] {
					natives[i].join("r")
				} else {
					natives[i].send(&protocol.Leave{Request: protocol.Request{ID: 7, Room: "r"}})
					want[*protocol.OK](natives[i])
				}
			case 3:
				native.send(&protocol.Publish{Request: protocol.Request{Room: "r"}, Data: json.RawMessage(fmt.Sprint(step))})
			}
		}
		_, body := s.call(t, "GET", "/api/v1/rooms/r/members?limit=100", "")
		truth := map[string]bool{}
		m, err := protocol.DecodeMessage([]byte(body))
		require.NoError(t, err)
		for _, member := range m.(*protocol.MemberList).Members {
			truth[member.Session] = true
		}
		native.send(&protocol.Publish{Request: protocol.Request{Room: "r"}, Data: json.RawMessage(`"the end"`)})
		for {
			m := native.next()
			note(seen, m)
			if p, ok := m.(*protocol.MessagePublished); ok && string(p.Data) == `"the end"` {
				break
			}
		}
		require.Equal(t, truth, seen, "the native client's members")
		for !maps.Equal(truth, watcher.seen) { // else the wait for the next one fails
			watcher.want("MESSAGE")
		}
	})
}

// Whatever is wrong, the client is told by an ERROR before the close.
func TestSTOMPEndings(t *testing.T) {
	s := start(t, nil)
	for _, c := range []struct {
		name    string
		play    func(p *stomper)
		message string
		code    uint16
	}{
		{"a JSON frame", func(p *stomper) { require.NoError(t, p.Write([]byte(`{"type":"join"}`+"\n"))) }, "a command is capital letters alone", 1002},
		{"something else than CONNECT", func(p *stomper) { p.tell("SEND destination:/topic/r") }, "the first frame must be CONNECT or STOMP", 1002},
		{"a large message", func(p *stomper) {
			p.tell("CONNECT accept-version:1.2")
			p.tell("SEND destination:/topic/r | " + strings.Repeat("x", 70000))
		}, "the message is larger than it may be", 1009},
		{"a body that is not UTF-8", func(p *stomper) {
			p.tell("CONNECT accept-version:1.2")
			require.NoError(t, p.line.(*client.Conn).WriteFrame(ws.OpBinary, true, []byte("SEND\ndestination:/topic/r\n\n\xff\x00")))
		}, "the body is not valid UTF-8", 1002},
		{"a room of the server", func(p *stomper) { p.tell("CONNECT accept-version:1.2"); p.tell("SEND destination:/app/@server | x") },
			"rooms whose names begin with @ belong to the server", 1002},
		{"ended by the API", func(p *stomper) {
			p.tell("CONNECT accept-version:1.2")
			id := p.want("CONNECTED").Header("session")
			status, _ := s.call(t, "DELETE", "/api/v1/sessions/"+id, `{"reason":"spam"}`)
			require.Equal(t, 204, status)
		}, "spam", 4502},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := s.stomp(t)
			p.t = t
			c.play(p)
			require.Equal(t, c.message, p.want("ERROR").Header("message"))
			_, err := p.next()
			var closed *client.CloseError
			require.ErrorAs(t, err, &closed)
			require.EqualValues(t, c.code, closed.Code)
		})
	}
	require.NotZero(t, s.metric(t, "rollcall_stomp_errors_total"))
	eventually(t, "no STOMP session is left", func() bool { return s.metric(t, "rollcall_stomp_sessions") == 0 })
}

// What CONNECT does not say the query may have said, on either way in.
func TestTheQueryIsTheDefaultOfCONNECT(t *testing.T) {
	s := start(t, nil)
	for _, path := range []string{"/stomp", "/sockjs/websocket"} {
		for _, c := range []struct{ query, connect, user, name, data string }{
			{"?user=kim&name=Kim&data=%7B%22mood%22%3A1%7D", "", "kim", "Kim", `{"mood":1}`},
			{"?user=kim&name=Kim&data=1", "login:bob rollcall-name:Bob mood:fine", "bob", "Bob", `{"mood":"fine"}`},
			{"?user=kim&name=Kim", "login:bob", "bob", "Kim", ""},
			{"?name=Kim", "login:bob", "bob", "Kim", ""},
			{"", "login:bob", "bob", "bob", ""},
		} {
			p := s.stompAt(t, path+c.query)
			p.tell(strings.TrimSpace("CONNECT accept-version:1.2 " + c.connect))
			session := p.want("CONNECTED").Header("session")
			_, body := s.call(t, "GET", "/api/v1/sessions/"+session, "")
			var got struct {
				User, Name string
				Data       json.RawMessage
			}
			require.NoError(t, json.Unmarshal([]byte(body), &got))
			require.Equal(t, []string{c.user, c.name, c.data}, []string{got.User, got.Name, string(got.Data)}, "%s%s, CONNECT with %s", path, c.query, c.connect)
		}
		for _, query := range []string{"?room=lobby", "?resume=s_1.0.x", "?heartbeat_ms=1000"} {
			p := s.stompAt(t, path+query)
			p.tell("CONNECT accept-version:1.2")
			require.Contains(t, p.want("ERROR").Header("message"), "are not for STOMP", query)
		}
	}
	status, _ := s.call(t, "GET", "/stomp?user=", "")
	require.Equal(t, 426, status, "a plain request is no handshake, whatever its query says")
}

// A front end says one destination and a broker's application maps it to another.
func TestRoutesOfSENDs(t *testing.T) {
	s := start(t, func(c *config.Config) {
		c.STOMP.Routes = []string{"/app/hello=/topic/greetings", "/app/chat/=/topic/chat/"}
	})
	kim := s.stomp(t)
	kim.tell("CONNECT accept-version:1.2 login:kim")
	kim.tell("SUBSCRIBE id:0 destination:/topic/greetings")
	kim.tell("SUBSCRIBE id:1 destination:/topic/chat/dev receipt:1")
	kim.want("RECEIPT")
	kim.tell(`SEND destination:/app/hello | {"name":"Kim"}`)
	m := kim.want("MESSAGE")
	require.Equal(t, []string{"/topic/greetings", `{"name":"Kim"}`}, []string{m.Header("destination"), string(m.Body)})
	kim.tell("SEND destination:/app/chat/dev | 1")
	require.Equal(t, "/topic/chat/dev", kim.want("MESSAGE").Header("destination"))
	kim.tell("SEND destination:/app/chat/ | 1")
	require.Contains(t, kim.want("ERROR").Header("message"), "there is no such destination to send to")
}

// Who sends to a room without a subscription there publishes to it, and is no
// member of it.
func TestSENDNeedsNoSubscription(t *testing.T) {
	s := start(t, nil)
	ann := connect(t, s.addr, "user=ann&room=greetings")
	want[*protocol.Joined](ann)
	kim := s.stomp(t)
	kim.tell("CONNECT accept-version:1.2 login:kim rollcall-name:Kim")
	session := kim.want("CONNECTED").Header("session")
	kim.tell("SEND destination:/app/greetings receipt:1 | {\"name\":\"Kim\"}")
	require.Equal(t, "1", kim.want("RECEIPT").Header("receipt-id"))
	m := want[*protocol.MessagePublished](ann)
	require.Equal(t, []string{"kim", "Kim", session, `{"name":"Kim"}`}, []string{m.User, m.Name, m.Session, string(m.Data)})
	kim.tell("BEGIN transaction:t")
	kim.tell("SEND destination:/app/greetings transaction:t | 1")
	kim.tell("SEND destination:/topic/greetings transaction:t | 2")
	kim.tell("COMMIT transaction:t receipt:2")
	require.Equal(t, "2", kim.want("RECEIPT").Header("receipt-id"))
	require.Equal(t, "1", string(want[*protocol.MessagePublished](ann).Data))
	require.Equal(t, "2", string(want[*protocol.MessagePublished](ann).Data))
	_, body := s.call(t, "GET", "/api/v1/rooms/greetings/members", "")
	require.NotContains(t, body, session)
	status, body := s.call(t, "POST", "/api/v1/rooms/greetings/bans", `{"user":"kim"}`)
	require.Equal(t, 201, status, body)
	kim.tell("SUBSCRIBE id:e destination:/user/queue/errors")
	kim.tell("SEND destination:/app/greetings receipt:3 | 3")
	refused := kim.want("MESSAGE")
	require.Equal(t, "3", refused.Header("receipt-id"))
	require.Contains(t, string(refused.Body), `"code":"banned"`)
}

func TestAConnectionWithoutCONNECTIsEnded(t *testing.T) {
	s := start(t, func(c *config.Config) { c.Limits.HandshakeTimeout = 100 * time.Millisecond })
	p := s.stomp(t)
	require.Equal(t, "no CONNECT came in time", p.want("ERROR").Header("message"))
	_, err := p.next()
	require.Error(t, err)
	require.EqualValues(t, 1, s.metric(t, "rollcall_stomp_silent_total"))
}

func TestSTOMPClientsAreToldOfTheShutDown(t *testing.T) {
	s := start(t, nil)
	p := s.stomp(t)
	p.tell("CONNECT accept-version:1.2")
	p.want("CONNECTED")
	p.tell("SUBSCRIBE id:0 destination:/topic/r receipt:1")
	p.want("RECEIPT")
	go func() { _ = s.stop() }()
	f := p.want("ERROR")
	require.Equal(t, "shutdown", f.Header("message"))
	require.Equal(t, "true", f.Header("rollcall-reconnect"))
}
