package actors

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"pgregory.net/rapid"

	"rollcall/engine/local"
	"rollcall/internal/logs"
	"rollcall/internal/logstest"
	"rollcall/protocol"
)

// lines is the encoding of the tests: the native JSON, a message per line.
type lines struct{}

func (lines) Append(b []byte, m protocol.Message) []byte { return append(m.AppendJSON(b), '\n') }

// bent is another encoding, whose messages begin with a blank.
type bent struct{}

func (bent) Append(b []byte, m protocol.Message) []byte {
	return append(m.AppendJSON(append(b, ' ')), '\n')
}

// wire is a Connection that remembers.
type wire struct {
	mu      sync.Mutex
	text    []byte
	writes  int
	backlog bool          // drops what may be dropped
	gate    chan struct{} // writes wait until it is closed; nil: they do not
	code    uint16        // of the close frame; 0: open
	reason  string
	paused  bool
	pauses  int
}

func (w *wire) Write(b []byte, must int) {
	w.mu.Lock()
	gate := w.gate
	w.mu.Unlock()
	if gate != nil {
		<-gate
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.code != 0 {
		return
	}
	if w.backlog {
		b = b[:must]
	}
	w.writes++
	w.text = append(w.text, b...)
}

func (w *wire) Close(code uint16, reason string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.code == 0 {
		w.code, w.reason = code, reason
	}
}

func (w *wire) Soon(f func()) { go f() }

func (w *wire) Pause() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.paused = true
	w.pauses++
}

func (w *wire) Resume() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.paused = false
}

// block makes writes wait until the returned function is called.
func (w *wire) block() (release func()) {
	gate := make(chan struct{})
	w.mu.Lock()
	defer w.mu.Unlock()
	w.gate = gate
	return func() {
		w.mu.Lock()
		w.gate = nil
		w.mu.Unlock()
		close(gate)
	}
}

func (w *wire) isPaused() (bool, int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.paused, w.pauses
}

func (w *wire) closed() uint16 {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.code
}

// take returns the frames written since the last call.
func (w *wire) take() []frame {
	w.mu.Lock()
	defer w.mu.Unlock()
	var fs []frame
	for _, line := range bytes.Split(w.text, []byte("\n")) {
		if line = bytes.TrimSpace(line); len(line) == 0 {
			continue
		}
		var f frame
		if err := json.Unmarshal(line, &f); err != nil {
			panic(fmt.Sprintf("%s: %v", line, err))
		}
		fs = append(fs, f)
	}
	w.text = nil
	return fs
}

// frame is any message of the server.
type frame struct {
	Type      string
	ID        uint64
	Room      string
	Epoch     string
	Offset    uint64
	Prev      uint64
	At        int64
	Session   string
	User      string
	Member    protocol.Member
	Members   json.RawMessage
	Messages  []frame
	Recovered bool
	First     bool
	Last      bool
	More      bool
	Next      string
	State     protocol.State
	Reason    string
	Code      json.RawMessage
	Message   string
	Data      json.RawMessage
	RetryMS   int64 `json:"retry_ms"`
	AfterMS   int64 `json:"after_ms"`
	Reconnect bool
	Count     protocol.Count
	Mode      protocol.Mode
	From      uint64
	Joins     []frame
	Leaves    []frame
	Updates   []frame
	Resume    string
	Resumed   bool
	Observer  bool
}

func (f frame) members() (ms []protocol.Member) {
	if err := json.Unmarshal(f.Members, &ms); err != nil {
		panic(err)
	}
	return ms
}

// String is the frame in the words of the conversations:
//
//	joined#1 r@2 [ann kim:idle] {"hi"}      message r@3 kim "hi"
//	leave r@4 kim idle 4500 last            error#7 not_joined
//	presence r@5-8 +bob -kim ~ann:idle 2/2  message r@9<7 kim "prev is 7"
//	occupancy r@9 12/10                     joined#1 r@2 count 12/10
func (f frame) String() string {
	var b strings.Builder
	b.WriteString(f.Type)
	if f.ID != 0 {
		fmt.Fprintf(&b, "#%d", f.ID)
	}
	word := func(s string) {
		if s != "" && s != "null" {
			b.WriteString(" " + s)
		}
	}
	at := func() {
		where := f.Room
		if f.From != 0 {
			where += fmt.Sprintf("@%d-%d", f.From, f.Offset)
		} else if f.Offset != 0 {
			where += fmt.Sprintf("@%d", f.Offset)
		}
		if f.Prev != 0 {
			where += fmt.Sprintf("<%d", f.Prev)
		}
		word(where)
	}
	watching := func() {
		if n := f.Count.Observers; n > 0 {
			word(fmt.Sprintf("+%d", n))
		}
	}
	size := func() {
		word(fmt.Sprintf("%d/%d", f.Count.Sessions, f.Count.Users))
		watching()
	}
	list := func() {
		var names []string
		for _, m := range f.members() {
			names = append(names, m.User+state(m.State)+string(m.Data))
		}
		word("[" + strings.Join(names, " ") + "]")
	}
	kept := func() {
		var texts []string
		for _, m := range f.Messages {
			texts = append(texts, string(m.Data))
		}
		if texts != nil {
			word("{" + strings.Join(texts, " ") + "}")
		}
	}
	flag := func(on bool, s string) {
		if on {
			word(s)
		}
	}
	switch f.Type {
	case "welcome":
		flag(f.Resumed, "resumed")
	case "pong":
	case "joined":
		at()
		if f.Mode == protocol.ModeCount {
			word("count")
			size()
		} else {
			flag(f.Mode == protocol.ModeBatch, "batch")
			list()
		}
		kept()
		flag(f.Observer, "observer")
		if f.Mode != protocol.ModeCount {
			watching()
		}
		flag(!f.Recovered, "gap")
	case "presence":
		at()
		for _, j := range f.Joins {
			word("+" + j.Member.User + state(j.Member.State) + string(j.Member.Data))
		}
		for _, l := range f.Leaves {
			word("-" + l.User)
		}
		for _, u := range f.Updates {
			word("~" + u.User + state(u.State) + string(u.Data))
		}
		size()
	case "occupancy":
		at()
		size()
	case "mode":
		at()
		word(string(f.Mode))
	case "members":
		list()
		size()
		flag(f.Next != "", "more")
	case "history":
		kept()
		flag(f.More, "more")
	case "join":
		at()
		word(f.Member.User)
		word(string(f.Member.Data))
		flag(f.First, "first")
	case "leave":
		at()
		word(f.User)
		word(f.Reason)
		word(string(f.Code))
		flag(f.Last, "last")
	case "update":
		at()
		word(f.User)
		word(string(f.State))
		word(string(f.Data))
	case "message":
		at()
		word(f.User)
		word(string(f.Data))
	case "signal":
		word(f.Room)
		word(f.User)
		word(string(f.Data))
	case "ok":
		if f.Offset != 0 {
			word(fmt.Sprintf("@%d", f.Offset))
		}
	case "error":
		word(strings.Trim(string(f.Code), `"`))
		word(f.Room)
		flag(f.RetryMS != 0, fmt.Sprintf("retry=%d", f.RetryMS))
	case "bye":
		word(string(f.Code))
		word(f.Reason)
	}
	return b.String()
}

// state is how a member stands, where it is not active.
func state(s protocol.State) string {
	if s == protocol.StateActive || s == "" {
		return ""
	}
	return ":" + string(s)
}

// house is a System under test.
type house struct {
	t   testing.TB
	sys *System
	log *written
	by  map[string]*person
	all []*person

	encoding Encoding
	next     string // cursor that was seen last
}

// written is what the house logged.
type written struct{ logstest.Lines }

// events returns the lines of one event written so far.
func (l *written) events(name string) (found []map[string]any) {
	for line := range strings.Lines(l.String()) {
		var m map[string]any
		if json.Unmarshal([]byte(line), &m) == nil && (m["event"] == name || name == "" && m != nil) {
			found = append(found, m)
		}
	}
	return found
}

func (l *written) contains(s string) bool { return strings.Contains(l.String(), s) }

// open starts a System that is stopped when the test ends. What
// should not be, or a dead letter, fails the test, unless it forgot the log.
func open(t testing.TB, set func(*Options)) *house {
	t.Helper()
	log := &written{}
	lg, err := logs.New(log, logs.Options{Format: "json", Level: "debug"})
	if err != nil {
		t.Fatal(err)
	}
	o := Options{
		Engine: local.New(local.Options{Messages: 100, Bytes: 1 << 20}), Log: lg, Linger: time.Minute, MaxBytes: 65536, Timeline: 100,
		Server: "test", Heartbeat: 25 * time.Second,
	}
	if set != nil {
		set(&o)
	}
	h := &house{t: t, sys: New(o), log: log, by: map[string]*person{}, encoding: lines{}}
	t.Cleanup(func() {
		h.stop()
		if unexpected := log.events("unexpected"); len(unexpected) > 0 {
			t.Errorf("the log says: %v", unexpected)
		}
	})
	return h
}

func (h *house) stop() {
	if err := h.sys.Stop(context.Background()); err != nil {
		h.t.Errorf("stop: %v", err)
	}
	for _, l := range h.log.events("dead_letter") {
		if l["message_type"] != "*actor.Stop" { // told again by a parent that stops, too
			h.t.Errorf("a dead letter: %v", l)
		}
	}
	time.Sleep(5 * time.Second) // protoactor counts dead letters for a second
}

// person is a client and its wire.
type person struct {
	*wire
	name   string
	client *Client
	unread []frame
	token  string // of the newest welcome
}

// connect opens a connection for name; "ann/phone" is a second one of ann.
func (h *house) connect(name string, rooms ...string) *person {
	p := &person{wire: &wire{}, name: name}
	user, _, _ := strings.Cut(name, "/")
	p.client = h.sys.Connect(ClientOptions{Connection: p.wire, Encoding: h.encoding, User: user, Name: user})
	h.by[name] = p
	h.all = append(h.all, p)
	p.client.Start(p.wire, rooms)
	return p
}

// do sends a frame of JSON.
func (p *person) do(text string) {
	cmd, err := protocol.Decode([]byte(text))
	if err != nil {
		p.client.Refuse(p.wire, err)
		return
	}
	p.client.Do(p.wire, cmd, len(text))
}

// publish sends frames of JSON, which are publishes, to rooms that the client
// need not be in: all or nothing.
func (p *person) publish(texts ...string) {
	all, size := make([]*protocol.Publish, len(texts)), 0
	for i, text := range texts {
		cmd, err := protocol.Decode([]byte(text))
		if err != nil {
			panic(text + ": " + err.Error())
		}
		all[i] = cmd.(*protocol.Publish)
		size += len(text)
	}
	p.client.PublishAll(p.wire, all[0].ID, all, 0, size)
}

// frames returns what came since the last call, once all is quiet.
func (p *person) frames() []frame {
	synctest.Wait()
	fs := p.unread
	p.unread = nil
	for _, f := range p.take() {
		if f.Type == "welcome" {
			p.token = f.Resume
		}
		fs = append(fs, f)
	}
	return fs
}

// resume opens another connection, with a token. It returns false where that
// would have become a new session.
func (p *person) resume(token string, rooms ...string) bool {
	p.unread = p.frames()
	w := &wire{}
	c := p.client.sys.Resume(token, ClientOptions{Connection: w, Encoding: p.client.enc, Promise: time.Duration(p.client.promise.Load())})
	if c == nil {
		return false
	}
	p.wire, p.client = w, c
	c.Start(w, rooms)
	return true
}

// say turns the short form of a command into its frame:
//
//	join#1 r {"history":5}    publish r "hi"    update#2 r {"mood":1}    ping
func say(short string) string {
	head, rest, _ := strings.Cut(short, " ")
	kind, id, _ := strings.Cut(head, "#")
	room, rest, _ := strings.Cut(rest, " ")
	fields := map[string]json.RawMessage{"type": quote(kind)}
	if id != "" {
		fields["id"] = json.RawMessage(id)
	}
	if room != "" {
		fields["room"] = quote(room)
	}
	switch data, key, keyed := strings.Cut(rest, " key="); {
	case rest == "":
	case kind == "publish" || kind == "update" || kind == "signal":
		fields["data"] = json.RawMessage(data)
		if keyed {
			fields["key"] = quote(key)
		}
	default:
		if err := json.Unmarshal([]byte(rest), &fields); err != nil {
			panic(rest + ": " + err.Error())
		}
	}
	b, err := json.Marshal(fields)
	if err != nil {
		panic(short + ": " + err.Error())
	}
	return string(b)
}

func quote(s string) json.RawMessage { return json.RawMessage(strconv.Quote(s)) }

// play runs a conversation.
//
//	ann connect [room …]     opens a connection; ann/phone is another one of ann
//	ann > publish#3 r "hi"   ann sends; lines that follow each other are sent at once.
//	                         $NEXT is the next cursor that somebody saw last
//	ann >> publish#3 r "hi"  ann sends it to a room that she need not be in
//	ann < ok#3 @4            the next frame that ann gets, once all is quiet
//	ann << ok#3 @4           it is somewhere among those unread
//	ann < (3)                any three frames
//	ann < *                  all that ann got
//	ann x lost [1006 [why]]  the connection of ann ends
//	ann resume [room …]      and she comes back on another, with her newest token
//	ann closed 4500          the server has closed the connection of ann
//	wait 5m                  time passes
//	settle                   all goes quiet
//	kick r ann               by the API
//	end ann 4502             likewise
//	ban r user ann [5m]      by the API; by session: ban r session ann/phone
//	unban r user ann         likewise; r may be @server
//	panic r [ann]            the room, or ann's session in it, panics
//	post r "hi"              a message from outside
//	# a comment
//
// In the end nobody may have a frame unread.
func (h *house) play(script string) {
	h.t.Helper()
	for n, line := range strings.Split(script, "\n") {
		if line = strings.TrimSpace(line); line == "" || line[0] == '#' {
			continue
		}
		if err := h.line(line); err != nil {
			h.t.Fatalf("line %d: %s\n%v\n%s", n, line, err, h.unread())
		}
	}
	if left := h.unread(); left != "" {
		h.t.Fatalf("frames left unread:\n%s", left)
	}
}

func (h *house) unread() string {
	synctest.Wait()
	var b strings.Builder
	for _, p := range h.all {
		p.unread = p.frames()
		for _, f := range p.unread {
			fmt.Fprintf(&b, "%s < %s\n", p.name, f)
		}
	}
	return b.String()
}

func (h *house) line(line string) error {
	words := strings.Fields(line)
	arg := func(i int) string {
		if i < len(words) {
			return words[i]
		}
		return ""
	}
	ctx := context.Background()
	switch words[0] {
	case "wait":
		synctest.Wait()
		d, err := time.ParseDuration(arg(1))
		if err != nil {
			return err
		}
		time.Sleep(d)
		synctest.Wait()
		return nil
	case "settle":
		synctest.Wait()
		return nil
	case "kick":
		synctest.Wait()
		return h.sys.Kick(ctx, arg(1), h.by[arg(2)].client.id)
	case "end":
		synctest.Wait()
		code, _ := strconv.Atoi(arg(2))
		return h.sys.End(h.by[arg(1)].client.id, protocol.CloseCode(code), "")
	case "panic":
		synctest.Wait()
		session := ""
		if arg(2) != "" {
			session = h.by[arg(2)].client.id
		}
		h.sys.Inject(arg(1), session, func() { panic("provoked") })
		synctest.Wait()
		return nil
	case "ban", "unban":
		synctest.Wait()
		return h.moderate(words[0], arg(1), h.who(arg(2), arg(3)), arg(4))
	case "post":
		synctest.Wait()
		_, err := h.sys.Post(ctx, Post{Room: arg(1), User: "api", Name: "api", Data: json.RawMessage(arg(2))})
		return err
	}
	name, verb := words[0], arg(1)
	rest := strings.TrimSpace(strings.TrimPrefix(strings.TrimPrefix(line, name), " "+verb))
	if verb == "connect" {
		h.connect(name, words[2:]...)
		return nil
	}
	p := h.by[name]
	if p == nil {
		return fmt.Errorf("nobody is called %s", name)
	}
	switch verb {
	case ">":
		p.do(say(strings.ReplaceAll(rest, "$NEXT", h.next)))
	case ">>":
		p.publish(say(rest))
	case "<":
		got, err := p.expect(rest)
		if got.Next != "" {
			h.next = got.Next
		}
		return err
	case "<<":
		p.unread = p.frames()
		for i, f := range p.unread {
			if f.String() == rest {
				p.unread = slices.Delete(p.unread, i, i+1)
				return nil
			}
		}
		return fmt.Errorf("it is not there")
	case "resume":
		p.unread = p.frames()
		if !p.resume(p.token, words[2:]...) {
			return fmt.Errorf("refused")
		}
	case "x":
		synctest.Wait()
		code, _ := strconv.Atoi(arg(3))
		p.client.Gone(p.wire, protocol.Reason(arg(2)), protocol.CloseCode(code), strings.Join(words[min(4, len(words)):], " "))
	case "closed":
		synctest.Wait()
		if got := strconv.Itoa(int(p.closed())); got != arg(2) {
			return fmt.Errorf("close code %s", got)
		}
	default:
		return fmt.Errorf("no such line")
	}
	return nil
}

func (p *person) expect(want string) (got frame, err error) {
	p.unread = p.frames()
	if want == "*" {
		p.unread = nil
		return got, nil
	}
	if n, err := strconv.Atoi(strings.Trim(want, "()")); err == nil {
		if len(p.unread) < n {
			return got, fmt.Errorf("got %d frames", len(p.unread))
		}
		p.unread = p.unread[n:]
		return got, nil
	}
	if len(p.unread) == 0 {
		return got, fmt.Errorf("got nothing")
	}
	got = p.unread[0]
	p.unread = p.unread[1:]
	if got.String() != want {
		return got, fmt.Errorf("got %s", got)
	}
	return got, nil
}

// inside runs f in the room's actor, and waits for it.
func (h *house) inside(name string, f func(*room)) {
	h.t.Helper()
	done := false
	h.sys.inject(name, "", func(a actor.Actor) {
		f(a.(*room))
		done = true
	})
	synctest.Wait()
	if !done {
		h.t.Fatalf("nothing ran inside room %s", name)
	}
}

// owed is the sum of all credits that are out.
func (h *house) owed() (sum int64) {
	for _, p := range h.all {
		sum += p.client.flow.owed.Load()
	}
	return sum
}

// bubbled is a test inside a synctest bubble as rapid may use it: without a
// Deadline, which is not allowed there.
type bubbled struct{ rapid.TB }
