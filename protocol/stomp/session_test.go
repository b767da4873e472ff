package stomp

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"rollcall/protocol"
)

// frame reads "SEND destination=/topic/r receipt=1 | body".
func frame(short string) *Frame {
	head, body, _ := strings.Cut(short, " | ")
	words := strings.Fields(head)
	f := &Frame{Command: words[0]}
	for _, w := range words[1:] {
		name, value, _ := strings.Cut(w, "=")
		f.Headers = append(f.Headers, Header{name, strings.ReplaceAll(value, "_", " ")})
	}
	if body != "" {
		f.Body = []byte(body)
	}
	return f
}

// show writes effects as the tests want them.
func show(effects []Effect) (lines []string) {
	for _, e := range effects {
		var line string
		switch e := e.(type) {
		case *Reply:
			line = showFrame(e.Frame)
		case *Fail:
			line = "fail " + showFrame(e.Frame)
		case *Close:
			line = "close"
		case *Connect:
			line = fmt.Sprintf("connect %s user=%q name=%q data=%s out=%v in=%v", e.Version, e.User, e.Name, e.Data, e.Beats.Out, e.Beats.In)
		case *Subscribe:
			line = fmt.Sprintf("subscribe %q presence=%v %s", e.Stream.ID, e.Stream.Presence, e.Join.AppendJSON(nil))
		case *Unsubscribe:
			line = fmt.Sprintf("unsubscribe %q #%d", e.Stream.ID, e.ID)
		case *Leave:
			line = fmt.Sprintf("leave %s #%d", e.Room, e.ID)
		case *Send:
			line = "send"
			for _, p := range e.Publishes {
				line += " " + string(p.AppendJSON(nil))
			}
			for _, d := range e.Directs {
				line += fmt.Sprintf(" #%d to %s's %s: %s%s", d.ID, d.User, d.Queue, d.Data, d.Headers)
			}
		}
		lines = append(lines, line)
	}
	return lines
}

func showFrame(f *Frame) string {
	s := f.Command
	for _, h := range f.Headers {
		if f.Command != "ERROR" || h.Name != "content-type" {
			s += " " + h.Name + "=" + h.Value
		}
	}
	if f.Command == "MESSAGE" {
		s += " | " + string(f.Body)
	}
	return s
}

// talk plays a conversation: "> frame" of the client, "! message" of the server
// as JSON, "< effect" that comes of it. Nothing else may come.
func talk(t *testing.T, script string) {
	t.Helper()
	s := &Session{}
	var got []string
	check := func(line string) {
		require.Empty(t, got, "before %s", line)
	}
	for _, line := range strings.Split(script, "\n") {
		line = strings.TrimSpace(line)
		if line == "" {
			continue
		}
		rest := line[min(2, len(line)):]
		switch line[0] {
		case '>':
			check(line)
			got = show(s.Receive(frame(rest)))
		case '!':
			check(line)
			m, err := protocol.DecodeMessage([]byte(rest))
			require.NoError(t, err, line)
			got = show(s.Answer(m))
		case '<':
			require.NotEmpty(t, got, "nothing came: %s", line)
			require.Equal(t, rest, got[0])
			got = got[1:]
		default:
			t.Fatal(line)
		}
	}
	check("the end")
}

const welcome = `
	> CONNECT accept-version=1.2 host=h login=kim
	< connect 1.2 user="kim" name="" data= out=0s in=0s
	! {"type":"welcome","session":"s_1","user":"kim","server":"rollcall/1"}
	< CONNECTED version=1.2 session=s_1 server=rollcall/1 heart-beat=0,0 user-name=kim
`

func TestConversations(t *testing.T) {
	for _, c := range []struct{ name, script string }{
		{"§CONNECT: data, name and heart-beats", `
			> STOMP accept-version=1.0,1.1,3.7 heart-beat=500,20000 login=kim passcode=secret rollcall-name=Kim_K mood=fine Authorization=x
			< connect 1.1 user="kim" name="Kim K" data={"mood":"fine"} out=20s in=1s
			! {"type":"welcome","session":"s_1","user":"kim","server":"rollcall/1"}
			< CONNECTED version=1.1 session=s_1 server=rollcall/1 heart-beat=1000,1000 user-name=kim`},
		{"§Protocol Negotiation: no common version", `
			> CONNECT accept-version=2.0 receipt=r
			< fail ERROR message=none of the versions of accept-version is spoken here; spoken: 1.0,1.1,1.2 receipt-id=r version=1.0,1.1,1.2
			> SEND destination=/topic/r`},
		{"§CONNECT: comes first", `
			> SEND destination=/topic/r
			< fail ERROR message=the first frame must be CONNECT or STOMP`},
		{"§CONNECT: comes once", welcome + `
			> CONNECT accept-version=1.2
			< fail ERROR message=the session is connected already`},
		{"§SUBSCRIBE: a room and its presence, and out again", welcome + `
			> SUBSCRIBE id=1 destination=/topic/dev/builds receipt=a
			< subscribe "1" presence=false {"type":"join","id":1,"room":"dev/builds"}
			> SUBSCRIBE id=2 destination=/topic/dev/builds/presence
			< subscribe "2" presence=true {"type":"join","id":2,"room":"dev/builds"}
			! {"type":"ok","id":1}
			< RECEIPT receipt-id=a
			! {"type":"ok","id":2}
			> UNSUBSCRIBE id=1
			< unsubscribe "1" #3
			! {"type":"ok","id":3}
			> UNSUBSCRIBE id=2 receipt=b
			< leave dev/builds #4
			! {"type":"leave","room":"dev/builds","offset":5,"at":1,"session":"s_1","user":"kim","reason":"left","last":true}
			! {"type":"ok","id":4}
			< RECEIPT receipt-id=b
			> UNSUBSCRIBE id=2 receipt=again
			< RECEIPT receipt-id=again`},
		{"§SUBSCRIBE: history", welcome + `
			> SUBSCRIBE id=1 destination=/topic/r rollcall-history=5
			< subscribe "1" presence=false {"type":"join","id":1,"room":"r","history":5}
			> SUBSCRIBE id=2 destination=/topic/r rollcall-since=k3v9-41 rollcall-observe=true
			< subscribe "2" presence=false {"type":"join","id":2,"room":"r","since":{"epoch":"k3v9","offset":41},"observe":true}
			> SUBSCRIBE id=3 destination=/topic/r rollcall-since=41
			< fail ERROR message=rollcall-history must be an integer from 0 to 100, rollcall-since a message-id and rollcall-observe true or false`},
		{"§SUBSCRIBE: needs an id", welcome + `
			> SUBSCRIBE destination=/topic/r receipt=x
			< fail ERROR message=SUBSCRIBE needs an id receipt-id=x`},
		{"§SUBSCRIBE: ids are unique", welcome + `
			> SUBSCRIBE id=1 destination=/topic/r
			< subscribe "1" presence=false {"type":"join","id":1,"room":"r"}
			> SUBSCRIBE id=1 destination=/topic/q
			< fail ERROR message=there is a subscription with this id already`},
		{"§SUBSCRIBE: modes of ack", welcome + `
			> SUBSCRIBE id=1 destination=/user/queue/a ack=client receipt=1
			< RECEIPT receipt-id=1
			> SUBSCRIBE id=2 destination=/user/queue/a ack=none
			< fail ERROR message=ack must be auto, client or client-individual`},
		{"1.0: subscriptions without an id", `
			> CONNECT login=kim
			< connect 1.0 user="kim" name="" data= out=0s in=0s
			> SUBSCRIBE destination=/topic/r
			< subscribe "" presence=false {"type":"join","id":1,"room":"r"}
			> UNSUBSCRIBE destination=/topic/r
			< leave r #2
			> NACK message-id=x
			< fail ERROR message=there is no NACK in STOMP 1.0`},
		{"§SEND: to a room and to a queue", welcome + `
			> SEND destination=/app/r receipt=a content-type=text/x tint=red content-length=2 Cookie=x | hi
			< send {"type":"publish","id":1,"room":"r","data":"hi","headers":{"content-type":"text/x","tint":"red"}}
			! {"type":"ok","id":1,"offset":4}
			< RECEIPT receipt-id=a
			> SEND destination=/user/ann%2F1/queue/notes | {"n":1}
			< send #2 to ann/1's notes: {"n":1}`},
		{"§SEND: destinations that are not", welcome + `
			> SEND destination=/topic/r/presence receipt=1
			< fail ERROR message=there is no such destination to send to; ` + served + ` receipt-id=1`},
		{"§SEND: a body must be UTF-8", welcome + "\n> SEND destination=/topic/r | \xff\n< fail ERROR message=the body is not valid UTF-8"},
		{"§Body: only SEND has one", welcome + `
			> SUBSCRIBE id=1 destination=/topic/r | body
			< fail ERROR message=only SEND may have a body`},
		{"§BEGIN: a transaction applies at COMMIT, and its receipt comes with the last answer", welcome + `
			> BEGIN transaction=t receipt=b
			< RECEIPT receipt-id=b
			> SEND destination=/topic/r transaction=t receipt=s | 1
			< RECEIPT receipt-id=s
			> SEND destination=/topic/q transaction=t | 2
			> COMMIT transaction=t receipt=c
			< send {"type":"publish","id":1,"room":"r","data":1} {"type":"publish","id":2,"room":"q","data":2}
			! {"type":"ok","id":2}
			! {"type":"ok","id":1}
			< RECEIPT receipt-id=c
			> COMMIT transaction=t
			< fail ERROR message=there is no such transaction`},
		{"§ABORT: rolls back", welcome + `
			> BEGIN transaction=t
			> SEND destination=/topic/r transaction=t | 1
			> ABORT transaction=t receipt=a
			< RECEIPT receipt-id=a
			> BEGIN transaction=t
			> COMMIT transaction=t receipt=nothing
			< RECEIPT receipt-id=nothing`},
		{"§BEGIN: names are unique", welcome + `
			> BEGIN transaction=t
			> BEGIN transaction=t
			< fail ERROR message=there is a transaction of this name already`},
		{"a transaction that is refused is refused once", welcome + `
			> SUBSCRIBE id=e destination=/user/queue/errors
			> BEGIN transaction=t
			> SEND destination=/topic/r transaction=t | 1
			> SEND destination=/topic/q transaction=t | 2
			> COMMIT transaction=t receipt=c
			< send {"type":"publish","id":1,"room":"r","data":1} {"type":"publish","id":2,"room":"q","data":2}
			! {"type":"error","id":1,"code":"not_joined","message":"join the room first","room":"r"}
			< MESSAGE message-id=s_1-1 destination=/user/queue/errors content-type=application/json subscription=e receipt-id=c | {"type":"error","code":"not_joined","message":"join the room first","room":"r"}
			! {"type":"ok","id":2}
			> DISCONNECT
			< close`},
		{"§ACK and §NACK: are answered", welcome + `
			> ACK id=k3v9-4 receipt=1
			< RECEIPT receipt-id=1
			> NACK id=k3v9-4 transaction=t
			< fail ERROR message=there is no such transaction`},
		{"§ACK: needs an id", welcome + `
			> ACK message-id=k3v9-4
			< fail ERROR message=ACK needs id`},
		{"§DISCONNECT: its receipt comes when all before is done", welcome + `
			> SEND destination=/topic/r | 1
			< send {"type":"publish","id":1,"room":"r","data":1}
			> DISCONNECT receipt=bye
			> SEND destination=/topic/r | 2
			! {"type":"ok","id":1}
			< RECEIPT receipt-id=bye
			< close`},
		{"§UNSUBSCRIBE: needs an id", welcome + `
			> UNSUBSCRIBE destination=/topic/r
			< fail ERROR message=UNSUBSCRIBE needs the id of a subscription`},
		{"§UNSUBSCRIBE: of what is no subscription, any more", welcome + `
			> UNSUBSCRIBE id=gone receipt=u
			< RECEIPT receipt-id=u`},
		{"§SUBSCRIBE: an id is free again after UNSUBSCRIBE", welcome + `
			> SUBSCRIBE id=1 destination=/user/queue/a receipt=1
			< RECEIPT receipt-id=1
			> UNSUBSCRIBE id=1 receipt=2
			< RECEIPT receipt-id=2
			> SUBSCRIBE id=1 destination=/user/queue/b receipt=3
			< RECEIPT receipt-id=3`},
		{"§SUBSCRIBE: needs a destination", welcome + `
			> SUBSCRIBE id=1 receipt=s
			< fail ERROR message=SUBSCRIBE needs a destination; ` + served + ` receipt-id=s`},
		{"§SEND: needs a destination", welcome + `
			> SEND receipt=s | x
			< fail ERROR message=SEND needs a destination; ` + served + ` receipt-id=s`},
		{"§SEND: a transaction that there is not", welcome + `
			> SEND destination=/topic/r transaction=t | x
			< fail ERROR message=there is no such transaction`},
		{"§BEGIN: needs a transaction", welcome + `
			> BEGIN receipt=b
			< fail ERROR message=BEGIN needs a transaction receipt-id=b`},
		{"§COMMIT: a transaction that there is not", welcome + `
			> COMMIT transaction=t
			< fail ERROR message=there is no such transaction`},
		{"§ABORT: a transaction that there is not", welcome + `
			> ABORT transaction=t
			< fail ERROR message=there is no such transaction`},
		{"§NACK: needs an id", welcome + `
			> NACK receipt=n
			< fail ERROR message=NACK needs id receipt-id=n`},
		{"§RECEIPT: each frame that asks gets one, in its turn", welcome + `
			> SUBSCRIBE id=1 destination=/user/queue/a receipt=1
			< RECEIPT receipt-id=1
			> BEGIN transaction=t receipt=2
			< RECEIPT receipt-id=2
			> SEND destination=/topic/r transaction=t receipt=3 | x
			< RECEIPT receipt-id=3
			> ABORT transaction=t receipt=4
			< RECEIPT receipt-id=4
			> ACK id=k-1 receipt=5
			< RECEIPT receipt-id=5
			> NACK id=k-1 receipt=6
			< RECEIPT receipt-id=6
			> UNSUBSCRIBE id=1 receipt=7
			< RECEIPT receipt-id=7
			> DISCONNECT receipt=8
			< RECEIPT receipt-id=8
			< close`},
		{"§DISCONNECT: nothing is heard after it", welcome + `
			> DISCONNECT
			< close
			> SEND destination=/topic/r | x
			> NONSENSE`},
		{"an UNSUBSCRIBE of what the room has ended meanwhile is done", welcome + `
			> SUBSCRIBE id=1 destination=/topic/r
			< subscribe "1" presence=false {"type":"join","id":1,"room":"r"}
			! {"type":"ok","id":1}
			> UNSUBSCRIBE id=1 receipt=u
			< leave r #2
			! {"type":"error","id":2,"code":"not_joined","message":"join the room first","room":"r"}
			< RECEIPT receipt-id=u`},
		{"a refused UNSUBSCRIBE leaves the subscription as it was", welcome + `
			> SUBSCRIBE id=e destination=/user/queue/errors
			> SUBSCRIBE id=1 destination=/topic/r
			< subscribe "1" presence=false {"type":"join","id":1,"room":"r"}
			! {"type":"ok","id":1}
			> UNSUBSCRIBE id=1
			< leave r #2
			! {"type":"error","id":2,"code":"rate_limited","message":"too many","room":"r","retry_ms":250}
			< MESSAGE message-id=s_1-1 destination=/user/queue/errors content-type=application/json subscription=e | {"type":"error","code":"rate_limited","message":"too many","room":"r","retry_ms":250}
			> UNSUBSCRIBE id=1
			< leave r #3`},
		{"a refused SUBSCRIBE is no subscription", welcome + `
			> SUBSCRIBE id=e destination=/user/queue/errors
			> SUBSCRIBE id=1 destination=/topic/r receipt=a
			< subscribe "1" presence=false {"type":"join","id":1,"room":"r"}
			! {"type":"error","id":1,"code":"room_full","message":"full","room":"r"}
			< MESSAGE message-id=s_1-1 destination=/user/queue/errors content-type=application/json subscription=e receipt-id=a | {"type":"error","code":"room_full","message":"full","room":"r"}
			> SUBSCRIBE id=1 destination=/topic/r
			< subscribe "1" presence=false {"type":"join","id":2,"room":"r"}`},
		{"§ERROR: where nobody listens on the error queue", welcome + `
			> SEND destination=/topic/r receipt=a | 1
			< send {"type":"publish","id":1,"room":"r","data":1}
			! {"type":"error","id":1,"code":"rate_limited","message":"too many","room":"r","retry_ms":250}
			< fail ERROR message=too many receipt-id=a rollcall-code=rate_limited rollcall-room=r rollcall-retry-ms=250
			! {"type":"bye","code":1002,"reason":"violation","reconnect":false,"after_ms":0}
			< ERROR message=too many receipt-id=a rollcall-code=rate_limited rollcall-room=r rollcall-retry-ms=250`},
		{"§ERROR: the server's last word", welcome + `
			! {"type":"bye","code":4000,"reason":"shutdown","reconnect":true,"after_ms":1200}
			< ERROR message=shutdown rollcall-code=4000 rollcall-reconnect=true rollcall-after-ms=1200
			> SEND destination=/topic/r`},
		{"taken out of a room: seen on its presence", welcome + `
			> SUBSCRIBE id=1 destination=/topic/r/presence
			< subscribe "1" presence=true {"type":"join","id":1,"room":"r"}
			! {"type":"ok","id":1}
			! {"type":"leave","room":"r","offset":5,"at":1,"session":"s_1","user":"kim","reason":"kicked","last":true}
			> SUBSCRIBE id=1 destination=/topic/r/presence
			< subscribe "1" presence=true {"type":"join","id":2,"room":"r"}`},
		{"taken out of a room: nobody else to tell", welcome + `
			> SUBSCRIBE id=1 destination=/topic/r
			< subscribe "1" presence=false {"type":"join","id":1,"room":"r"}
			! {"type":"ok","id":1}
			! {"type":"leave","room":"r","offset":5,"at":1,"session":"s_1","user":"kim","reason":"kicked","last":true}
			< fail ERROR message=the session was taken out of the room rollcall-room=r rollcall-reason=kicked`},
		{"§Client Frames: no other", welcome + `
			> MESSAGE destination=/topic/r
			< fail ERROR message=there is no such command for clients`},
	} {
		t.Run(c.name, func(t *testing.T) { talk(t, c.script) })
	}
}

func TestWhatASessionKeepsIsBounded(t *testing.T) {
	for _, c := range []struct {
		name, frame string // %d counts
		most        int
		want        string
	}{
		{"subscriptions", "SUBSCRIBE id=%d destination=/user/queue/a", maxSubscriptions, "the session has as many subscriptions as it may have"},
		{"transactions", "BEGIN transaction=%d", maxTransactions, "the session has as many transactions as it may have"},
		{"requests", "SEND destination=/topic/r x=%d", maxRequests + 1, "too many requests wait for their answers"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := &Session{}
			s.Receive(frame("CONNECT accept-version=1.2"))
			for i := range c.most {
				s.Receive(frame(fmt.Sprintf(c.frame, i)))
				require.False(t, s.Over(), "after %d", i)
			}
			require.Equal(t, []string{"fail ERROR message=" + c.want}, show(s.Receive(frame(fmt.Sprintf(c.frame, c.most)))))
		})
	}
	s := &Session{}
	s.Receive(frame("CONNECT accept-version=1.2"))
	s.Receive(frame("BEGIN transaction=t"))
	for range maxSends {
		s.Receive(frame("SEND destination=/topic/r transaction=t"))
	}
	require.False(t, s.Over())
	s.Receive(frame("SEND destination=/topic/r transaction=t"))
	require.True(t, s.Over())
}

func TestWhatTransactionsHoldIsBounded(t *testing.T) {
	half := strings.Repeat("x", maxHeldBytes/2+1)
	s := &Session{}
	s.Receive(frame("CONNECT accept-version=1.2"))
	for _, end := range []string{"COMMIT", "ABORT"} { // both give back what was held
		s.Receive(frame("BEGIN transaction=a"))
		s.Receive(frame("SEND destination=/topic/r transaction=a | " + half))
		s.Receive(frame(end + " transaction=a"))
		require.Zero(t, s.held, end)
	}
	s.Receive(frame("BEGIN transaction=a"))
	s.Receive(frame("BEGIN transaction=b"))
	s.Receive(frame("SEND destination=/topic/r transaction=a | " + half + half)) // a single one may be larger
	s.Receive(frame("SEND destination=/topic/r | " + half))                      // nor does it hold what is sent at once
	require.False(t, s.Over())
	require.Equal(t, []string{"fail ERROR message=the open transactions hold as much as they may hold"},
		show(s.Receive(frame("SEND destination=/topic/r transaction=b | x"))))
}

func TestHurryingADisconnect(t *testing.T) {
	s := &Session{}
	s.Receive(frame("CONNECT accept-version=1.2"))
	s.Receive(frame("SEND destination=/topic/r"))
	require.Empty(t, s.Receive(frame("DISCONNECT receipt=b")))
	require.Equal(t, []string{"RECEIPT receipt-id=b", "close"}, show(s.Hurry()))
	require.Empty(t, s.Hurry())
}

func TestDestinations(t *testing.T) {
	for text, want := range map[string]destination{
		"/topic/lobby":             {kind: topic, room: "lobby"},
		"/topic/dev/builds":        {kind: topic, room: "dev/builds"},
		"/topic/lobby/presence":    {kind: presence, room: "lobby"},
		"/topic/presence":          {kind: topic, room: "presence"},
		"/app/lobby":               {kind: application, room: "lobby"},
		"/app/lobby/presence":      {kind: application, room: "lobby/presence"},
		"/user/queue/errors":       {kind: ownQueue, name: "errors"},
		"/user/queue/a/b":          {kind: ownQueue, name: "a/b"},
		"/user/kim/queue/notes":    {kind: queueOf, user: "kim", name: "notes"},
		"/user/k%2Fm%25/queue/a":   {kind: queueOf, user: "k/m%", name: "a"},
		"/user/Zoë Ünl/queue/a":    {kind: queueOf, user: "Zoë Ünl", name: "a"},
		"":                         {},
		"/":                        {},
		"/topic/":                  {},
		"/topic/a//b":              {},
		"/topic//presence":         {},
		"/app/ü":                   {},
		"/queue/a":                 {},
		"/user/queue/":             {},
		"/user//queue/a":           {},
		"/user/a/b/queue/c":        {},
		"/user/%zz/queue/a":        {},
		"/user/a%00/queue/a":       {},
		"topic/lobby":              {},
		"/topic/lobby?transport=x": {},
	} {
		got, ok := parseDestination(text)
		require.Equal(t, want != destination{}, ok, text)
		if ok {
			require.Equal(t, want, got, text)
		}
	}
}

func TestHeartBeats(t *testing.T) {
	for text, want := range map[string]*Beats{
		"":             {},
		"0,0":          {},
		"0,10000":      {Out: 10 * time.Second},
		"10000,0":      {In: 10 * time.Second},
		"1,999999":     {In: time.Second, Out: 5 * time.Minute},
		"10000":        nil,
		"-1,0":         nil,
		"a,b":          nil,
		"1,2,3":        nil,
		"1.5,0":        nil,
		"9999999999,0": nil,
	} {
		b, ok := readBeats(text)
		require.Equal(t, want != nil, ok, text)
		if ok {
			require.Equal(t, *want, b, text)
		}
	}
}

// Between STOMP clients a body comes out octet for octet.
func FuzzBody(f *testing.F) {
	for _, s := range []string{"", "a", `"a"`, `{"a":1}`, `{"a":1,"a":1}`, " null ", "1e5", "a\x00b", `"\ud800"`, "ü"} {
		for _, ct := range []string{"", "application/json", "application/vnd.api+json; charset=utf-8", "text/plain"} {
			f.Add(s, ct)
		}
	}
	f.Fuzz(func(t *testing.T, body, contentType string) {
		if !utf8.ValidString(contentType) { // no header is
			return
		}
		data, text, ok := dataOf([]byte(body), contentType)
		if !ok {
			return
		}
		require.True(t, json.Valid(data), "%s", data)
		sent := &Frame{Headers: []Header{{"content-type", contentType}}}
		headers, ok := headersOf(sent, text && isJSON(contentType))
		if !ok {
			return
		}
		got, as := bodyOf(data, headers)
		require.Equal(t, body, string(got))
		if contentType != "" {
			require.Equal(t, contentType, as)
		}
	})
}

// §ERROR: the receipt-id is that of the frame that is at fault, as far as it was
// read.
func TestABrokenFramesReceiptIsNamed(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		{"an unknown escape behind it", "SEND\nreceipt:7\nk:\\t\n", " receipt-id=7"},
		{"an unknown escape before it", "SEND\nk:\\t\nreceipt:7\n", ""},
		{"a body that is longer than it says", "SEND\nreceipt:7\ncontent-length:1\n\nab\x00", " receipt-id=7"},
		{"a receipt that is too long", "SEND\nreceipt:" + strings.Repeat("7", maxTokenBytes+1) + "\nk\n", ""},
		{"the frame behind one with a receipt", "BEGIN\ntransaction:t\nreceipt:6\n\n\x00SEND\nk\n", ""},
		{"no frame", "\x00", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, p := &Session{}, Parser{Limits: DefaultLimits(1000), Version: V12}
			s.Receive(frame("CONNECT accept-version=1.2"))
			rest := []byte(c.text)
			var err error
			for f := (&Frame{}); err == nil && f != nil; {
				f, rest, err = p.Next(rest)
			}
			require.Error(t, err)
			require.Equal(t, []string{"fail ERROR message=" + err.Error() + c.want}, show(s.Broken(p.Broken(), err.Error())))
		})
	}
}

// What a client escaped in a header of its own (§Value Encoding) is escaped
// again for each version that can say it, and left out for 1.0.
func TestHeadersGoAlongWhateverTheirText(t *testing.T) {
	s := &Session{}
	s.Receive(frame("CONNECT accept-version=1.2"))
	sent, err := parse(V12, DefaultLimits(1000), "SEND\ndestination:/topic/r\ntint:a\\nb\\cc\\\\d\\re\tf\n\nx\x00", 1000)
	require.NoError(t, err)
	effects := s.Receive(sent[0])
	require.Len(t, effects, 1)
	require.IsType(t, &Send{}, effects[0])
	headers := effects[0].(*Send).Publishes[0].Headers
	require.JSONEq(t, `{"tint":"a\nb:c\\d\re\tf"}`, string(headers))
	for v, want := range map[Version]string{
		V12: "\ntint:a\\nb\\cc\\\\d\\re\tf\n",
		V11: "\ntint:a\\nb\\cc\\\\d\re\tf\n",
		V10: "\ntint:ab:c\\de\tf\n",
	} {
		m := &protocol.MessagePublished{Data: json.RawMessage(`"x"`), Headers: headers}
		got := string(Stream{Version: v, ID: "0", Room: "r"}.Append(nil, m, func(b []byte, frame func([]byte) []byte) []byte { return frame(b) }))
		require.Contains(t, got, want, "in %s", v)
	}
}

func TestStreams(t *testing.T) {
	message := &protocol.MessagePublished{
		Stamp: protocol.Stamp{Room: "dev:1", Offset: 42, At: 7}, Message: "m_2", Session: "s_1", User: "kim", Name: "Kim: K",
		Data: json.RawMessage(`{"text":"hi"}`), Headers: json.RawMessage(`{"tint":"red","rollcall-user":"forged","subscription":"9"}`),
	}
	text := *message
	text.Data, text.Headers, text.Session = json.RawMessage(`"é"`), nil, ""
	topic := Stream{Version: V12, ID: "sub-0", Room: "dev:1", Epoch: "k3v9"}
	old := Stream{Version: V10, Room: "dev:1", Epoch: "k3v9"}
	acked, who := topic, topic
	acked.Ack, who.Presence = true, true
	left := &protocol.MemberLeft{Stamp: protocol.Stamp{Room: "dev:1", Offset: 43, At: 8}, Session: "s_1", User: "kim", Reason: protocol.ReasonLost, Last: true}
	joined := &protocol.Joined{ID: 3, Room: "dev:1", Epoch: "k3v9", Offset: 42, Session: "s_1", Mode: protocol.ModeFull, Messages: []protocol.MessagePublished{*message, text}}
	for _, c := range []struct {
		name   string
		stream Stream
		m      protocol.Message
		want   string
	}{
		{"a message", topic, message, "MESSAGE\nsubscription:sub-0\nmessage-id:k3v9-42\ndestination:/topic/dev\\c1\ncontent-type:application/json\n" +
			"rollcall-user:kim\nrollcall-name:Kim\\c K\nrollcall-session:s_1\nrollcall-message:m_2\nrollcall-at:7\ntint:red\ncontent-length:13\n\n" + `{"text":"hi"}` + "\x00"},
		{"text, of a length that clients count differently, in 1.0", old, &text, "MESSAGE\nmessage-id:k3v9-42\ndestination:/topic/dev:1\ncontent-type:text/plain\n" +
			"rollcall-user:kim\nrollcall-name:Kim: K\nrollcall-message:m_2\nrollcall-at:7\n\né\x00"},
		{"one to acknowledge", acked, &text, "MESSAGE\nsubscription:sub-0\nmessage-id:k3v9-42\nack:k3v9-42\ndestination:/topic/dev\\c1\ncontent-type:text/plain\n" +
			"rollcall-user:kim\nrollcall-name:Kim\\c K\nrollcall-message:m_2\nrollcall-at:7\n\né\x00"},
		{"presence is nothing to a topic", topic, left, ""},
		{"messages are nothing to presence", who, message, ""},
		{"signals are nothing to anybody", who, &protocol.Signaled{}, ""},
		{"a leave", who, left, "MESSAGE\nsubscription:sub-0\nmessage-id:k3v9-43\ndestination:/topic/dev\\c1/presence\ncontent-type:application/json\ncontent-length:107\n\n" +
			string(left.AppendJSON(nil)) + "\x00"},
	} {
		t.Run(c.name, func(t *testing.T) {
			plain := func(b []byte, frame func([]byte) []byte) []byte { return frame(b) }
			got := string(c.stream.Append([]byte("before"), c.m, plain))
			require.Equal(t, "before"+c.want, got)
			if c.want == "" {
				require.False(t, c.stream.Wants(c.m))
			}
		})
	}
	t.Run("a snapshot", func(t *testing.T) {
		count := 0
		each := func(b []byte, frame func([]byte) []byte) []byte { count++; return frame(b) }
		require.Equal(t, 2, strings.Count(string(topic.Append(nil, joined, each)), "MESSAGE\n"), "the history of a topic")
		require.Equal(t, 2, count)
		f, err := parse(V12, DefaultLimits(1000), string(who.Append(nil, joined, each)), 1000)
		require.NoError(t, err)
		require.Len(t, f, 1)
		require.Equal(t, "k3v9-42-joined", f[0].Header("message-id"))
		m, err := protocol.DecodeMessage(f[0].Body)
		require.NoError(t, err)
		require.Zero(t, m.(*protocol.Joined).ID)
		require.Empty(t, m.(*protocol.Joined).Messages)
	})
}

func TestVersions(t *testing.T) {
	for accept, want := range map[string]Version{
		"": V10, "1.0": V10, "1.1,1.0": V11, "1.0,1.1,1.2": V12, "1.2, 2.0": V12, "2.0": 0, "x": 0, ",": 0,
	} {
		require.Equal(t, want, Negotiate(accept), accept)
	}
}
