package transport

import (
	"net/http"
	"net/textproto"
	"net/url"
	"strings"
)

// mostFields is how many header fields a request on the short way may have.
// Browsers send about fifteen.
const mostFields = 64

// parseHandshake reads the head of a request, its last empty line included,
// that is a plain handshake (RFC 6455 §4.1) and nothing else: GET, HTTP/1.1, an
// Upgrade to websocket, no body, ASCII. Of such a one it makes what net/http
// would (TestParseHandshake, FuzzParseHandshake). Nil: it is something else, or
// nothing that is sure to be one.
func parseHandshake(head string) *http.Request {
	line, fields, _ := strings.Cut(head, "\r\n")
	target, version := strings.CutSuffix(line, " HTTP/1.1")
	target, get := strings.CutPrefix(target, "GET ")
	if !version || !get || !strings.HasPrefix(target, "/") || !isVisible(target) {
		return nil
	}
	h, ok := parseFields(fields)
	if !ok {
		return nil
	}
	host := h["Host"]
	if len(host) != 1 || !isHost(host[0]) || !hasToken(h["Upgrade"], "websocket") {
		return nil
	}
	delete(h, "Host")
	u, err := url.ParseRequestURI(target)
	if err != nil {
		return nil
	}
	return &http.Request{
		Method: http.MethodGet, URL: u, RequestURI: target, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: h, Host: host[0], Body: http.NoBody,
	}
}

// parseFields reads header fields up to the empty line at their end.
func parseFields(text string) (http.Header, bool) {
	n := strings.Count(text, "\r\n") - 1
	if n < 0 || n > mostFields {
		return nil, false
	}
	h, values := make(http.Header, n), make([]string, 0, n)
	for {
		line, rest, ended := strings.Cut(text, "\r\n")
		if !ended {
			return nil, false
		}
		if line == "" {
			return h, rest == ""
		}
		name, value, ok := strings.Cut(line, ":")
		value = strings.Trim(value, " \t")
		if !ok || !isToken(name) || !isText(value) {
			return nil, false
		}
		name = textproto.CanonicalMIMEHeaderKey(name)
		switch name {
		case "Content-Length", "Transfer-Encoding", "Trailer", "Expect":
			return nil, false // there may be a body
		}
		if more := h[name]; more != nil {
			h[name] = append(more, value)
		} else {
			values = append(values, value)
			h[name] = values[len(values)-1:]
			h[name] = h[name][:1:1]
		}
		text = rest
	}
}

// isVisible: no blank, no control character, nothing but ASCII.
func isVisible(s string) bool {
	for i := range len(s) {
		if s[i] <= ' ' || s[i] > '~' {
			return false
		}
	}
	return true
}

// isText is isVisible, but for blanks and tabs.
func isText(s string) bool {
	for i := range len(s) {
		if (s[i] < ' ' && s[i] != '\t') || s[i] > '~' {
			return false
		}
	}
	return true
}

// isToken says whether s is a token of RFC 9110 §5.6.2.
func isToken(s string) bool {
	for i := range len(s) {
		if c := s[i]; !isAlphanumeric(c) && strings.IndexByte("!#$%&'*+-.^_`|~", c) < 0 {
			return false
		}
	}
	return s != ""
}

// isHost says whether s is made of what hosts and ports are made of.
func isHost(s string) bool {
	for i := range len(s) {
		if c := s[i]; !isAlphanumeric(c) && strings.IndexByte("-._:[]", c) < 0 {
			return false
		}
	}
	return s != ""
}

func isAlphanumeric(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c|0x20 && c|0x20 <= 'z'
}
