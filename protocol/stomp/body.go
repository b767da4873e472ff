package stomp

import (
	"bytes"
	"encoding/json"
	"strings"
	"unicode/utf8"

	"rollcall/protocol"
)

// A body that is a JSON object, array, number, true, false or null is the
// message's data as it stands. Any other text becomes a JSON string, and is
// that text again for who reads STOMP. A JSON string stands for itself only
// where the content type is JSON's.

// bodyHeader marks a message whose content type is JSON's and whose body is
// text all the same, so that it comes out as it went in.
const (
	bodyHeader = "rollcall-body"
	bodyText   = "text"
)

// dataOf is a body as the data of a message. text reports that it became a JSON
// string; ok is false for what is not UTF-8.
func dataOf(body []byte, contentType string) (data json.RawMessage, text, ok bool) {
	if !utf8.Valid(body) {
		return nil, false, false
	}
	start := bytes.TrimLeft(body, " \t\r\n")
	if quoted := len(start) > 0 && start[0] == '"'; (!quoted || isJSON(contentType)) && protocol.ValidData(body) {
		return body, false, true
	}
	return protocol.AppendString(make([]byte, 0, len(body)+2), string(body)), true, true
}

// bodyOf is the data of a message as a body, and its content type.
func bodyOf(data, headers json.RawMessage) (body []byte, contentType string) {
	marked := false
	protocol.EachHeader(headers, func(name, value []byte) bool {
		switch string(name) {
		case "content-type":
			contentType = string(value)
		case bodyHeader:
			marked = string(value) == bodyText
		}
		return true
	})
	if start := bytes.TrimLeft(data, " \t\r\n"); len(start) > 0 && start[0] == '"' && (marked || !isJSON(contentType)) {
		var text string
		if json.Unmarshal(data, &text) == nil {
			if contentType == "" {
				contentType = "text/plain"
			}
			return []byte(text), contentType
		}
	}
	if contentType == "" {
		contentType = jsonType
	}
	return data, contentType
}

const jsonType = "application/json"

// isJSON reports whether a content type is JSON's, or one built on it (RFC 6839
// §3.1).
func isJSON(contentType string) bool {
	media, _, _ := strings.Cut(contentType, ";")
	media = strings.ToLower(strings.TrimSpace(media))
	return media == jsonType || strings.HasSuffix(media, "+json")
}

// ownHeaders have a meaning of their own in some frame, and go no further.
var ownHeaders = map[string]bool{
	"accept-version": true, "ack": true, "content-length": true, "destination": true, "heart-beat": true, "host": true,
	"id": true, "message": true, "message-id": true, "receipt": true, "receipt-id": true, "selector": true, "server": true,
	"session": true, "subscription": true, "transaction": true, "user-name": true, "version": true,
}

// secrets are headers that tell who somebody is, in many a front end: nobody
// else gets them.
var secrets = map[string]bool{
	"authorization": true, "cookie": true, "login": true, "passcode": true, "proxy-authorization": true,
	"set-cookie": true, "x-api-key": true, "x-auth-token": true, "x-authorization": true, "x-csrf-token": true, "x-xsrf-token": true,
}

// passes reports whether a header is passed on with a message.
func passes(name string) bool {
	return !ownHeaders[name] && !secrets[strings.ToLower(name)] && !strings.HasPrefix(name, "rollcall-")
}

// headersOf are the headers of a SEND that go along with its message. ok is
// false where they are more than a message may have.
func headersOf(f *Frame, marked bool) (h json.RawMessage, ok bool) {
	for _, e := range f.Headers {
		if passes(e.Name) {
			h = protocol.AppendHeader(h, e.Name, e.Value)
		}
	}
	if marked {
		h = protocol.AppendHeader(h, bodyHeader, bodyText)
	}
	return h, h == nil || protocol.ValidHeaders(h)
}
