package protocol

import (
	"bytes"
	"encoding/json"
	"slices"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

func seedFrames(f *testing.F) {
	for _, s := range []string{
		`{"type":"join","id":1,"room":"lobby","data":{"mood":"fine"},"history":20,"since":{"epoch":"k3v9","offset":41}}`,
		`{"type":"publish","id":3,"room":"lobby","data":{"text":"hi \u00e9\ud83d\ude00\ud800"},"key":"a1"}`,
		`{"type":"members","id":6,"room":"lobby","limit":100,"cursor":"17"}`,
		`{"type":"history","id":7,"room":"a/b","before":41,"limit":50}`,
		`{"type":"ping","id":9007199254740991}`,
		`{"t\u0079pe":"ping","a":[1,-0.5e+10,true,false,null,"x",{"a":{"a":[]}}]}`,
		`{"a":1,"\u0061":2}`, `{"":{"b":1,"b":2}}`, `{"a":"` + "\xff" + `"}`, `[[[[]]]]`, "null", " {} ", `{}{}`, `{"a":01}`, `{"a":1e}`,
		nested(MaxDepth), nested(MaxDepth - 1), many(shortNames+1, ""), many(shortNames, `"n1":1`),
	} {
		f.Add([]byte(s))
	}
}

// FuzzDecode: no frame makes it panic; a command keeps every rule, survives the
// wire as it is, and has its data byte for byte from the frame; a refusal is one
// of the contract's.
func FuzzDecode(f *testing.F) {
	seedFrames(f)
	f.Fuzz(func(t *testing.T, frame []byte) {
		kept := bytes.Clone(frame)
		c, e := Decode(frame)
		if !bytes.Equal(frame, kept) {
			t.Fatal("Decode changed the frame")
		}
		if (c == nil) == (e == nil) {
			t.Fatalf("Decode = %v, %v: want either", c, e)
		}
		if e != nil {
			if !slices.Contains([]ErrorCode{ErrBadRequest, ErrUnknownType, ErrTooLarge}, e.Code) || e.Message == "" || e.ID > MaxID {
				t.Fatalf("refused with %+v", e)
			}
			back, err := DecodeMessage(e.AppendJSON(nil))
			if diff := cmp.Diff(Message(e), back); err != nil || diff != "" {
				t.Fatalf("the error does not survive the wire: %v\n%s", err, diff)
			}
			return
		}
		if !strictJSON(frame, MaxDepth) {
			t.Fatalf("accepted what it should not: %q", frame)
		}
		if _, ping := c.(*Ping); !ping && !ValidRoom(c.RoomName()) || c.RequestID() > MaxID {
			t.Fatalf("accepted %+v", c)
		}
		again, e := Decode(c.AppendJSON(nil))
		if diff := cmp.Diff(c, again); e != nil || diff != "" {
			t.Fatalf("does not survive the wire: %v\n%s", e, diff)
		}
		var members map[string]json.RawMessage
		if err := json.Unmarshal(frame, &members); err != nil {
			t.Fatal(err)
		}
		if data := dataOf(c); data != nil && !bytes.Equal(data, members["data"]) {
			t.Fatalf("data is %q, want %q", data, members["data"])
		}
	})
}

// FuzzValidData compares the scanner with encoding/json, made strict.
func FuzzValidData(f *testing.F) {
	seedFrames(f)
	f.Fuzz(func(t *testing.T, b []byte) {
		if got, want := ValidData(b), strictJSON(b, MaxDepth-1); got != want {
			t.Fatalf("ValidData(%q) = %t, want %t", b, got, want)
		}
	})
}

// FuzzDecodeMessage: no frame makes it panic, and what it reads survives the
// wire.
func FuzzDecodeMessage(f *testing.F) {
	seedFrames(f)
	for _, s := range []string{
		`{"type":"joined","room":"lobby","epoch":"e","offset":2,"session":"s_1","mode":"full","count":{"sessions":1,"users":1},"members":[{"session":"s_1","user":"kim","name":"Kim","state":"active","data":null,"since":1}],"recovered":true,"messages":[]}`,
		`{"type":"leave","room":"lobby","offset":3,"prev":1,"at":5,"session":"s_1","user":"kim","reason":"closed","last":true,"code":1001}`,
		`{"type":"message","room":"lobby","offset":3,"at":5,"message":"m","user":"kim","name":"Kim","data":[1, 2]}`,
		`{"type":"bye","code":4500,"reason":"idle","reconnect":false,"after_ms":0}`,
		`{"type":"error","id":7,"code":"rate_limited","message":"slow down","retry_ms":250}`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, frame []byte) {
		m, err := DecodeMessage(frame)
		if err != nil || m == nil {
			if m != nil {
				t.Fatalf("DecodeMessage = %v, %v", m, err)
			}
			return
		}
		if !json.Valid(frame) {
			t.Fatalf("accepted %q", frame)
		}
		sent := m.AppendJSON(nil)
		if !json.Valid(sent) {
			t.Fatalf("not JSON: %s", sent)
		}
		again, err := DecodeMessage(sent)
		if err != nil {
			t.Fatalf("DecodeMessage(%s): %v", sent, err)
		}
		if back := again.AppendJSON(nil); !bytes.Equal(sent, back) {
			t.Fatalf("does not survive the wire: %s became %s", sent, back)
		}
	})
}

// strictJSON is the scanner's rule told by encoding/json: one value in UTF-8,
// at most so deep, no name twice in an object.
func strictJSON(b []byte, depth int) bool {
	if !utf8.Valid(b) || !json.Valid(b) {
		return false
	}
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	type container struct {
		names map[string]bool // nil: an array
		value bool            // the next token is a member's value
	}
	var open []container
	for {
		token, err := d.Token()
		if err != nil {
			return true // the end
		}
		if name, ok := token.(string); ok && len(open) > 0 && open[len(open)-1].names != nil && !open[len(open)-1].value {
			top := &open[len(open)-1]
			if top.names[name] {
				return false
			}
			top.names[name], top.value = true, true
			continue
		}
		if token == json.Delim('}') || token == json.Delim(']') {
			open = open[:len(open)-1]
			continue
		}
		if len(open) > 0 {
			open[len(open)-1].value = false
		}
		switch token {
		case json.Delim('{'):
			open = append(open, container{names: map[string]bool{}})
		case json.Delim('['):
			open = append(open, container{})
		}
		if len(open) > depth {
			return false
		}
	}
}

func dataOf(c Command) json.RawMessage {
	switch c := c.(type) {
	case *Join:
		return c.Data
	case *Publish:
		return c.Data
	case *Update:
		return c.Data
	case *Signal:
		return c.Data
	}
	return nil
}
