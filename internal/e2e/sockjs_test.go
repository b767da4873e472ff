package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"rollcall/config"
	"rollcall/protocol"
)

// poller is a SockJS client that polls, without any will of its own.
type poller struct {
	t       testing.TB
	session string // its URL
	query   string
	got     []protocol.Message // not yet read
}

func (p *poller) post(ctx context.Context, transport, body string) (int, string, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, p.session+transport+p.query, strings.NewReader(body))
	require.NoError(p.t, err)
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		return 0, "", err
	}
	defer func() { _ = resp.Body.Close() }()
	b, err := io.ReadAll(resp.Body)
	return resp.StatusCode, string(b), err
}

// poll is one poll's frame.
func (p *poller) poll() string {
	p.t.Helper()
	status, body, err := p.post(p.t.Context(), "/xhr", "")
	require.NoError(p.t, err)
	require.Equal(p.t, 200, status, body)
	return strings.TrimSuffix(body, "\n")
}

func (p *poller) send(commands ...protocol.Command) {
	p.t.Helper()
	var texts []string
	for _, c := range commands {
		texts = append(texts, string(c.AppendJSON(nil)))
	}
	body, err := json.Marshal(texts)
	require.NoError(p.t, err)
	status, _, err := p.post(p.t.Context(), "/xhr_send", string(body))
	require.NoError(p.t, err)
	require.Equal(p.t, 204, status)
}

// polled polls until a message of one type comes, and passes over the others.
func polled[M protocol.Message](p *poller) M {
	p.t.Helper()
	for {
		for len(p.got) > 0 {
			m := p.got[0]
			p.got = p.got[1:]
			if typed, ok := m.(M); ok {
				return typed
			}
		}
		frame := p.poll()
		var texts []string
		require.NoError(p.t, json.Unmarshal([]byte(strings.TrimPrefix(frame, "a")), &texts), frame)
		for _, text := range texts {
			m, err := protocol.DecodeMessage([]byte(text))
			require.NoError(p.t, err)
			p.got = append(p.got, m)
		}
	}
}

// startPolling opens a session and says hello with a ping.
func startPolling(t testing.TB, s *server, name, query string) (*poller, *protocol.Welcome) {
	t.Helper()
	p := &poller{t: t, session: "http://" + s.addr + "/sockjs/000/" + name, query: query}
	require.Equal(t, "o", p.poll())
	p.send(&protocol.Ping{})
	return p, polled[*protocol.Welcome](p)
}

func TestAClientThatPollsIsAMemberLikeAnyOther(t *testing.T) {
	s := start(t, nil)
	ann := connect(t, s.addr, "user=ann")
	ann.join("lobby")
	kim, welcome := startPolling(t, s, "kims-tab", "?user=kim&room=lobby")
	require.Equal(t, "kim", welcome.User)
	require.Len(t, polled[*protocol.Joined](kim).Members, 2)
	require.Equal(t, welcome.Session, want[*protocol.MemberJoined](ann).Member.Session)
	const text = `{"text":"quotes \" and \\ and  \u2028 and é"}`
	kim.send(&protocol.Publish{Request: protocol.Request{ID: 2, Room: "lobby"}, Data: json.RawMessage(text)})
	require.JSONEq(t, text, string(want[*protocol.MessagePublished](ann).Data))
	require.JSONEq(t, text, string(polled[*protocol.MessagePublished](kim).Data))

	status, body := s.call(t, "GET", "/api/v1/sessions/kims-tab", "")
	require.Equal(t, 200, status)
	require.Contains(t, body, welcome.Session, "the name in the URL finds the session")
	require.EqualValues(t, 1, s.metric(t, `rollcall_connections{transport="sockjs_http"}`))

	status, _ = s.call(t, "DELETE", "/api/v1/sessions/kims-tab", `{"code":4502,"reason":"enough"}`)
	require.Equal(t, 204, status)
	require.Equal(t, "enough", polled[*protocol.Bye](kim).Reason)
	require.Equal(t, `c[4502,"kicked"]`, kim.poll())
	require.Equal(t, protocol.ReasonKicked, want[*protocol.MemberLeft](ann).Reason)
	status, _ = s.call(t, "GET", "/api/v1/sessions/kims-tab", "")
	require.Equal(t, 404, status)
}

// Members see each other's session ids. Who names a SockJS session like one is
// not found in its place.
func TestNobodyIsFoundByTheIDOfAnother(t *testing.T) {
	s := start(t, nil)
	_, ann := startPolling(t, s, "anns-tab", "?user=ann")
	_, mallory := startPolling(t, s, ann.Session, "?user=mallory")
	for _, name := range []string{"anns-tab", ann.Session} {
		status, body := s.call(t, "GET", "/api/v1/sessions/"+name, "")
		require.Equal(t, 200, status)
		require.Contains(t, body, `"user":"ann"`, name)
	}
	status, _ := s.call(t, "DELETE", "/api/v1/sessions/"+ann.Session, `{}`)
	require.Equal(t, 204, status)
	status, _ = s.call(t, "GET", "/api/v1/sessions/"+ann.Session, "")
	require.Equal(t, 404, status)
	status, _ = s.call(t, "GET", "/api/v1/sessions/"+mallory.Session, "")
	require.Equal(t, 200, status)
}

// A lost receiver, a lost session and a lost client are three things.
func TestWhatIsLostWhenAPollerGoes(t *testing.T) {
	s := start(t, func(c *config.Config) {
		c.SockJS.DisconnectDelay = 300 * time.Millisecond
		c.Session.ResumeWindow = time.Hour
	})
	ann := connect(t, s.addr, "user=ann")
	ann.join("lobby")
	kim, welcome := startPolling(t, s, "one", "?user=kim&room=lobby")
	polled[*protocol.Joined](kim)
	// Nothing asks for messages any more. That its session is lost the others
	// see by its state; it is still a member, and comes back in another one.
	lost := wantThat(ann, func(u *protocol.MemberUpdated) bool { return u.Session == welcome.Session })
	require.Equal(t, protocol.StateLost, lost.State)
	_, again := startPolling(t, s, "two", "?resume="+welcome.Resume)
	require.True(t, again.Resumed)
	require.Equal(t, welcome.Session, again.Session)
	require.Equal(t, protocol.StateActive, want[*protocol.MemberUpdated](ann).State)
}

func TestTheFirstFrameDecides(t *testing.T) {
	s := start(t, nil)
	const neither = `c[1003,"the first frame is of no protocol that is spoken here"]`
	for i, c := range []struct{ first, begins string }{ // what is answered begins so
		{`{\"type\":\"ping\"}`, `a["{\"type\":\"welcome\"`},
		{`CONNECT\naccept-version:1.2\n\n\u0000`, `a["CONNECTED\nversion:1.2\n`},
		{`STOMP\r\naccept-version:1.1\r\n\r\n\u0000`, `a["CONNECTED\nversion:1.1\n`},
		{`\nCONNECT\n\n\u0000`, `a["CONNECTED\nversion:1.0\n`}, // a heart-beat first
		{`SEND\ndestination:/topic/r\n\n\u0000`, neither},
		{`hello`, neither},
		{`[1]`, neither},
	} {
		p := &poller{t: t, session: fmt.Sprintf("http://%s/sockjs/000/%d", s.addr, i)}
		require.Equal(t, "o", p.poll())
		_, _, err := p.post(t.Context(), "/xhr_send", `["`+c.first+`"]`)
		require.NoError(t, err)
		got := p.poll()
		require.True(t, strings.HasPrefix(got, c.begins), "%s: %s", c.first, got)
	}
}

func TestWhoSaysNothingIsClosed(t *testing.T) {
	s := start(t, func(c *config.Config) { c.SockJS.FirstFrame = 50 * time.Millisecond })
	p := &poller{t: t, session: "http://" + s.addr + "/sockjs/000/silent"}
	require.Equal(t, "o", p.poll())
	require.Equal(t, `c[4500,"no first frame"]`, p.poll())
}

func TestSockJSGoesAwayWithTheServer(t *testing.T) {
	s := start(t, nil)
	kim, _ := startPolling(t, s, "kim", "")
	silent := &poller{t: t, session: "http://" + s.addr + "/sockjs/000/silent"}
	require.Equal(t, "o", silent.poll())
	stopped := make(chan error, 1)
	polling := make(chan string, 2)
	for _, p := range []*poller{kim, silent} {
		go func() {
			_, frame, _ := p.post(context.Background(), "/xhr", "")
			polling <- frame
		}()
	}
	go func() { stopped <- s.stop() }()
	for range 2 {
		frame := <-polling
		if frame != "" { // else the listener was closed before it came
			require.Contains(t, frame, "4000")
		}
	}
	require.NoError(t, <-stopped)
}

func TestPagesOfOtherOriginsMayNotUseSockJS(t *testing.T) {
	s := start(t, func(c *config.Config) { c.Origins = []string{"https://chat.example.com"} })
	for origin, status := range map[string]int{"https://chat.example.com": 200, "https://evil.example.com": 403, "null": 403, "": 200} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+s.addr+"/sockjs/info", nil)
		require.NoError(t, err)
		if origin != "" {
			r.Header.Set("Origin", origin)
		}
		resp, err := http.DefaultClient.Do(r)
		require.NoError(t, err)
		_ = resp.Body.Close()
		require.Equal(t, status, resp.StatusCode, origin)
	}
	r, err := http.Get("http://" + s.addr + "/sockjs/iframe.html")
	require.NoError(t, err)
	_ = r.Body.Close()
	require.Equal(t, "frame-ancestors 'self' https://chat.example.com:443", r.Header.Get("Content-Security-Policy"))
}

// A message of the largest size gets through, whatever its quoting makes of it;
// one byte more does not, and the client is told before the close.
func TestTheLimitOfAMessageInSockJSIsThatOfTheMessage(t *testing.T) {
	inBothModes(t, func(t *testing.T, mode string) {
		s := start(t, func(c *config.Config) { c.Transport.Mode = mode })
		largest := func(more int) string { // a SEND of the largest size, most of it quotes
			const head = "SEND\ndestination:/topic/r\nreceipt:1\n\n"
			return head + strings.Repeat(`"`, 65536-len(head)-1+more) + "\x00"
		}
		for _, transport := range []string{"websocket", "xhr", "xhr_streaming"} {
			p := newStomper(t, s.sock(t, transport, ""))
			p.tell("CONNECT accept-version:1.2")
			p.want("CONNECTED")
			require.NoError(t, p.Write([]byte(largest(0))))
			require.Equal(t, "1", p.want("RECEIPT").Header("receipt-id"))
			require.NoError(t, p.Write([]byte(largest(1))))
			require.Equal(t, "the message is larger than it may be", p.want("ERROR").Header("message"))
			require.EqualValues(t, 1009, p.code())
		}
	})
}

// Any number of clients may poll: what waits takes no place from who comes.
func TestPollsTakeNoPlaceFromOthers(t *testing.T) {
	s := start(t, func(c *config.Config) { c.Limits.Pending = 16 }) // those between two polls, and those who send
	const many = 60
	var all []*stomper
	for i := range many {
		p := newStomper(t, s.sock(t, []string{"xhr", "xhr_streaming"}[i%2], ""))
		p.tell("CONNECT accept-version:1.2")
		p.want("CONNECTED")
		p.tell("SUBSCRIBE id:0 destination:/topic/r receipt:1")
		p.want("RECEIPT")
		all = append(all, p)
	}
	require.EqualValues(t, many, s.metric(t, `rollcall_connections{transport="sockjs_http"}`))
	require.Zero(t, s.metric(t, `rollcall_handshakes_refused_total{reason="pending"}`))
	all[0].tell("SEND destination:/topic/r | everybody?")
	for _, p := range all {
		require.Equal(t, "everybody?", string(p.want("MESSAGE").Body))
	}
}
