package protocol

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"unicode/utf8"
)

// Decode reads one command from a frame of the client. It keeps no part of
// frame.
//
// It is strict about what JSON leaves open: one object, valid UTF-8, no
// duplicate names at any depth, at most MaxDepth levels, the command's fields
// of their types and within their limits. Fields that the command does not
// know are ignored. The error is bad_request, unknown_type or too_large, carries
// the request's id where it could be read, and has a constant text: nothing of
// the frame.
func Decode(frame []byte) (Command, *Error) {
	s := scanner{b: frame}
	f := fields{text: frame}
	var c Command
	switch err := s.object(&f); {
	case err == nil:
		c = f.command()
	case errors.Is(err, errDepth), errors.Is(err, errDuplicate): // JSON all the same: what stood before it counts
		f.refuse(ErrBadRequest, err.Error())
	default:
		return nil, &Error{Code: ErrBadRequest, Message: err.Error()}
	}
	if f.err != nil {
		f.err.ID, _ = f.integer(fieldID, 1, MaxID)
		if room := f.spelled(fieldRoom); ValidRoom(room) {
			f.err.Room = string(room)
		}
		return nil, f.err
	}
	return c, nil
}

// fields say where an object has the members that some command, or a position,
// knows. They hold places in text, not slices of it: so a scan allocates nothing.
type fields struct {
	text []byte
	at   [fieldCount]place
	err  *Error // the first thing found wrong with them
}

// place is where a value stands in the text; the zero place is none.
type place struct {
	kind     kind
	from, to int
}

type field int

const (
	fieldType field = iota
	fieldID
	fieldRoom
	fieldData
	fieldKey
	fieldCursor
	fieldLimit
	fieldBefore
	fieldHistory
	fieldSince
	fieldEpoch
	fieldOffset
	fieldObserve
	fieldHeaders
	fieldCount
)

// set notes where the member called name has its value.
func (f *fields) set(name []byte, p place) {
	switch string(name) {
	case "type":
		f.at[fieldType] = p
	case "id":
		f.at[fieldID] = p
	case "room":
		f.at[fieldRoom] = p
	case "data":
		f.at[fieldData] = p
	case "key":
		f.at[fieldKey] = p
	case "cursor":
		f.at[fieldCursor] = p
	case "limit":
		f.at[fieldLimit] = p
	case "before":
		f.at[fieldBefore] = p
	case "history":
		f.at[fieldHistory] = p
	case "since":
		f.at[fieldSince] = p
	case "epoch":
		f.at[fieldEpoch] = p
	case "offset":
		f.at[fieldOffset] = p
	case "observe":
		f.at[fieldObserve] = p
	case "headers":
		f.at[fieldHeaders] = p
	}
}

// refuse notes what is wrong, unless something was before.
func (f *fields) refuse(code ErrorCode, rule string) {
	if f.err == nil {
		f.err = &Error{Code: code, Message: rule}
	}
}

func (f *fields) has(i field) bool { return f.at[i].kind != 0 }

// value is a field as it stands in the text; nil: there is none.
func (f *fields) value(i field) []byte {
	if !f.has(i) {
		return nil
	}
	return f.text[f.at[i].from:f.at[i].to]
}

// spelled is what a string field spells; nil: it is no string.
func (f *fields) spelled(i field) []byte {
	if f.at[i].kind != kindString {
		return nil
	}
	return spelling(f.value(i))
}

// integer reads an integer as JSON.stringify writes it: digits alone.
func (f *fields) integer(i field, least, most uint64) (n uint64, ok bool) {
	v := f.value(i)
	if f.at[i].kind != kindNumber || len(v) > len("9007199254740991") {
		return 0, false
	}
	for _, d := range v {
		if d < '0' || d > '9' {
			return 0, false
		}
		n = n*10 + uint64(d-'0')
	}
	if n < least || n > most {
		return 0, false
	}
	return n, true
}

// number is an integer field that may be missing: 0.
func (f *fields) number(i field, least, most uint64, rule string) uint64 {
	n, ok := f.integer(i, least, most)
	if !ok && f.has(i) {
		f.refuse(ErrBadRequest, rule)
	}
	return n
}

// command reads the fields as the command that their type names.
func (f *fields) command() Command {
	switch {
	case !f.has(fieldType):
		f.refuse(ErrBadRequest, "type is missing")
		return nil
	case f.at[fieldType].kind != kindString:
		f.refuse(ErrBadRequest, "type must be a string")
		return nil
	}
	switch string(f.spelled(fieldType)) {
	case "join":
		return &Join{f.request(), f.data(MaxDataBytes, "join data is larger than 4 KiB"), f.history(), f.since(), f.observe()}
	case "leave":
		return &Leave{f.request()}
	case "publish":
		return &Publish{f.request(), f.needed(f.data(math.MaxInt, "")), f.key(), f.headers()}
	case "update":
		return &Update{f.request(), f.needed(f.data(MaxDataBytes, "update data is larger than 4 KiB"))}
	case "signal":
		return &Signal{f.request(), f.needed(f.data(MaxSignalBytes, "signal data is larger than 1 KiB"))}
	case "members":
		return &Members{f.request(), f.limit(MaxMembersLimit, "limit must be an integer from 1 to 1000"), f.cursor()}
	case "history":
		return &History{f.request(), f.before(), f.limit(MaxHistoryLimit, "limit must be an integer from 1 to 100")}
	case "ping":
		return &Ping{Request{ID: f.id()}}
	}
	f.refuse(ErrUnknownType, "there is no command of this type")
	return nil
}

func (f *fields) request() Request { return Request{ID: f.id(), Room: f.room()} }

func (f *fields) id() uint64 {
	return f.number(fieldID, 1, MaxID, "id must be an integer from 1 to 2^53-1")
}

func (f *fields) room() string {
	name := f.spelled(fieldRoom)
	switch {
	case !f.has(fieldRoom):
		f.refuse(ErrBadRequest, "room is missing")
	case name == nil:
		f.refuse(ErrBadRequest, "room must be a string")
	case !ValidRoom(name):
		f.refuse(ErrBadRequest, "room must be 1 to 128 letters, digits and . _ : - ~ @ /, without a leading, trailing or doubled /")
	}
	return string(name)
}

func (f *fields) data(most int, rule string) json.RawMessage {
	v := f.value(fieldData)
	if len(v) > most {
		f.refuse(ErrTooLarge, rule)
		return nil
	}
	return bytes.Clone(v)
}

func (f *fields) needed(data json.RawMessage) json.RawMessage {
	if !f.has(fieldData) {
		f.refuse(ErrBadRequest, "data is missing")
	}
	return data
}

func (f *fields) key() string {
	k := f.spelled(fieldKey)
	if f.has(fieldKey) && !ValidKey(k) {
		f.refuse(ErrBadRequest, "key must be a string of 1 to 64 bytes")
	}
	return string(k)
}

func (f *fields) cursor() string {
	c := f.spelled(fieldCursor)
	if f.has(fieldCursor) && (c == nil || len(c) > MaxCursorBytes) {
		f.refuse(ErrBadRequest, "cursor is not one of this server's")
	}
	return string(c)
}

func (f *fields) limit(most uint64, rule string) int { return int(f.number(fieldLimit, 1, most, rule)) }

func (f *fields) before() uint64 {
	return f.number(fieldBefore, 1, MaxID, "before must be an offset: an integer of 1 or more")
}

func (f *fields) history() int {
	return int(f.number(fieldHistory, 0, MaxHistoryLimit, "history must be an integer from 0 to 100"))
}

func (f *fields) since() *Position {
	if !f.has(fieldSince) {
		return nil
	}
	p := fields{text: f.value(fieldSince)}
	s := scanner{b: p.text}
	if f.at[fieldSince].kind == kindObject && s.members(&p) == nil {
		epoch := p.spelled(fieldEpoch)
		if offset, ok := p.integer(fieldOffset, 0, MaxID); ok && len(epoch) > 0 && len(epoch) <= MaxEpochBytes {
			return &Position{Epoch: string(epoch), Offset: offset}
		}
	}
	f.refuse(ErrBadRequest, "since must be a position: {\"epoch\":string,\"offset\":integer}")
	return nil
}

func (f *fields) observe() bool {
	switch v := string(f.value(fieldObserve)); v {
	case "", "false":
		return false
	case "true":
		return true
	}
	f.refuse(ErrBadRequest, "observe must be true or false")
	return false
}

// ValidKey reports whether k may de-duplicate a publish: 1 to 64 bytes of
// UTF-8.
func ValidKey[T string | []byte](k T) bool {
	return len(k) > 0 && len(k) <= MaxKeyBytes && utf8.ValidString(string(k))
}

// ValidData reports whether b is JSON that may travel as data: one value,
// valid UTF-8, no duplicate names, at most MaxDepth levels.
func ValidData(b []byte) bool {
	if !utf8.Valid(b) {
		return false
	}
	s := scanner{b: b, depth: 1} // as within a frame
	if _, err := s.value(); err != nil {
		return false
	}
	s.space()
	return s.i == len(b)
}

// DecodeMessage reads one message of a server: for clients. A message of a
// type that it does not know is nil without an error, as clients ignore what
// they don't know; so are fields. A frame that is no JSON object is an error.
func DecodeMessage(frame []byte) (Message, error) {
	kind, ok := leadingType(frame)
	if !ok {
		var head struct {
			Type string `json:"type"`
		}
		if err := json.Unmarshal(frame, &head); err != nil {
			return nil, fmt.Errorf("decode message: %w", err)
		}
		kind = []byte(head.Type)
	}
	var m Message
	switch string(kind) {
	case "welcome":
		m = new(Welcome)
	case "ok":
		m = new(OK)
	case "joined":
		m = new(Joined)
	case "members":
		m = new(MemberList)
	case "history":
		m = new(Messages)
	case "pong":
		m = new(Pong)
	case "error":
		m = new(Error)
	case "bye":
		m = new(Bye)
	case "join":
		m = new(MemberJoined)
	case "leave":
		m = new(MemberLeft)
	case "update":
		m = new(MemberUpdated)
	case "message":
		m = new(MessagePublished)
	case "presence":
		m = new(Presence)
	case "occupancy":
		m = new(Occupancy)
	case "mode":
		m = new(ModeChanged)
	case "signal":
		m = new(Signaled)
	default:
		if text := bytes.TrimLeft(frame, " \t\r\n"); !json.Valid(frame) || text[0] != '{' {
			return nil, errors.New("decode message: not a JSON object")
		}
		return nil, nil
	}
	if err := json.Unmarshal(frame, m); err != nil {
		return nil, fmt.Errorf("decode message: %w", err)
	}
	return m, nil
}

// leadingType is the type of a frame that begins with it, as all of ours do:
// it saves a first pass over the frame.
func leadingType(frame []byte) (kind []byte, ok bool) {
	rest, ok := bytes.CutPrefix(frame, []byte(`{"type":"`))
	if !ok {
		return nil, false
	}
	kind, _, ok = bytes.Cut(rest, []byte{'"'})
	return kind, ok && bytes.IndexByte(kind, '\\') < 0
}
