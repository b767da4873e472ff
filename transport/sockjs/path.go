package sockjs

import "strings"

// place is what a path below a service's prefix stands for.
type place struct {
	name    string // "greeting", "info", "iframe", "script", "raw", or a transport's; "": nothing is here
	session string // of a transport
}

// maxSessionBytes bounds the name that a client gives its session.
const maxSessionBytes = 128

// find reads a path, as it was sent, below the prefix: "" or from a slash on. A
// slash may follow what has no other meaning.
func find(path string) place {
	if path == "" || path == "/" {
		return place{name: "greeting"}
	}
	path = strings.TrimSuffix(path, "/")
	switch parts := strings.Split(path, "/"); len(parts) {
	case 2:
		switch last := parts[1]; {
		case last == "info":
			return place{name: "info"}
		case last == "websocket":
			return place{name: "raw"}
		case last == scriptName:
			return place{name: "script"}
		case isIframe(last):
			return place{name: "iframe"}
		}
	case 4:
		server, session, transport := parts[1], parts[2], parts[3]
		if isName(server) && isName(session) && transports[transport] != nil {
			return place{transport, session}
		}
	}
	return place{}
}

// isName says whether a path's part may name a server or a session.
func isName(s string) bool {
	return s != "" && len(s) <= maxSessionBytes && !strings.Contains(s, ".")
}

// isIframe knows iframe.html and its versions, iframe-0.1.2.html.
func isIframe(s string) bool {
	rest, named := strings.CutPrefix(s, "iframe")
	version, ok := strings.CutSuffix(rest, ".html")
	if !named || !ok {
		return false
	}
	for i := range len(version) {
		switch c := version[i]; {
		case c >= 'a' && c <= 'z', c >= '0' && c <= '9', c == '-', c == '.', c == '_':
		default:
			return false
		}
	}
	return true
}
