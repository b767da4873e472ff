package stomp

import (
	"encoding/json"
	"errors"
	"strconv"
	"strings"
	"time"

	"rollcall/protocol"
)

// Hello is what a CONNECT frame says.
type Hello struct {
	Version Version
	User    string          // login; empty: none
	Name    string          // rollcall-name; empty: none
	Data    json.RawMessage // an object of the other headers; nil: there are none
	Beats   Beats
}

// Beats are the heart-beats that were agreed on (§Heart-beating); 0: none.
type Beats struct {
	Out time.Duration // the server sends one that often
	In  time.Duration // the client promised one that often
}

const (
	// minBeat is the least time between two heart-beats, either way.
	minBeat = time.Second
	// maxBeat is the longest that anybody is waited for.
	maxBeat = 5 * time.Minute
)

// connectHeaders are those of CONNECT that are not client data.
var connectHeaders = map[string]bool{
	"accept-version": true, "host": true, "heart-beat": true, "login": true, "passcode": true, "receipt": true,
	"content-length": true, "content-type": true, nameHeader: true,
}

const nameHeader = "rollcall-name"

// readConnect reads CONNECT, or STOMP. The error is for the client.
func readConnect(f *Frame) (h Hello, err error) {
	if h.Version = Negotiate(f.Header("accept-version")); h.Version == 0 {
		return h, errors.New("none of the versions of accept-version is spoken here; spoken: " + Versions)
	}
	var ok bool
	if h.Beats, ok = readBeats(f.Header("heart-beat")); !ok {
		return h, errors.New("heart-beat must be two integers of milliseconds, with a comma between them")
	}
	if user := h.value(f.Header("login")); user != "" {
		if !protocol.ValidUser(user) {
			return h, errors.New("login must be 1 to 128 bytes without control characters: it is the user's id")
		}
		h.User = user
	}
	if name := h.value(f.Header(nameHeader)); name != "" {
		if !protocol.ValidName(name) {
			return h, errors.New(nameHeader + " must be 1 to 64 characters without control characters, not all blank")
		}
		h.Name = name
	}
	for _, e := range f.Headers {
		if connectHeaders[e.Name] || secrets[strings.ToLower(e.Name)] {
			continue
		}
		if h.Data = protocol.AppendHeader(h.Data, e.Name, h.value(e.Value)); len(h.Data) > protocol.MaxQueryBytes {
			return h, errors.New("the headers of CONNECT, which are the client's data, are more than 1 KiB of JSON")
		}
	}
	return h, nil
}

// value is a header's value. In 1.0 the blank behind the colon is none of it.
func (h *Hello) value(s string) string {
	if h.Version == V10 {
		return strings.TrimSpace(s)
	}
	return s
}

// readBeats reads a heart-beat header: how often the client can send, and how
// often it wants to hear.
func readBeats(s string) (b Beats, ok bool) {
	if s == "" {
		return b, true
	}
	can, wants, comma := strings.Cut(s, ",")
	if !comma || !readBeat(strings.TrimSpace(can), &b.In) || !readBeat(strings.TrimSpace(wants), &b.Out) {
		return Beats{}, false
	}
	return b, true
}

func readBeat(s string, d *time.Duration) bool {
	ms, err := strconv.ParseUint(s, 10, 31)
	if err != nil {
		return false
	}
	if ms > 0 {
		*d = min(max(time.Duration(ms)*time.Millisecond, minBeat), maxBeat)
	}
	return true
}

// connected answers CONNECT.
func connected(h *Hello, w *protocol.Welcome) *Frame {
	beats := "0,0"
	if h.Beats != (Beats{}) {
		ms := strconv.FormatInt(minBeat.Milliseconds(), 10)
		beats = ms + "," + ms
	}
	return &Frame{Command: "CONNECTED", Headers: []Header{
		{"version", h.Version.String()}, {"session", w.Session}, {"server", w.Server}, {"heart-beat", beats}, {"user-name", w.User},
	}}
}
