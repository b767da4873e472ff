package app

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"runtime/debug"
	"strings"

	"github.com/sirupsen/logrus"

	"rollcall/internal/logs"
	"rollcall/transport"
)

const levelInfo = logrus.InfoLevel

// ServeHTTP is the whole of the server's HTTP. It looks at the path as it was
// sent: nothing is cleaned or redirected, so that room names and other paths
// mean what they say.
func (a *App) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	defer a.recovered(w)
	switch path := r.URL.EscapedPath(); {
	case path == "/ws":
		a.connect(w, r)
	case path == "/stomp":
		a.stomp(w, r)
	case strings.HasPrefix(path, "/api/"):
		a.api(w, r, path)
	case path == "/healthz":
		a.text(w, r, http.StatusOK, "ok")
	case path == "/readyz":
		a.ready(w, r)
	case path == "/metrics":
		if readOnly(w, r) {
			a.metrics.ServeHTTP(w, r)
		}
	case a.inject(w, r, path):
	case a.sockjs.serve(w, r, path):
	default:
		a.page.ServeHTTP(w, r)
	}
}

// endpoint says whether a path is of an endpoint for WebSockets, whose answer to
// anything else is short.
func endpoint(path string) bool {
	return path == "/ws" || path == "/stomp" || strings.HasSuffix(path, "/websocket")
}

// recovered keeps a panic of a handler from being nobody's: net/http would
// print it and go on.
func (a *App) recovered(w http.ResponseWriter) {
	if p := recover(); p != nil && p != http.ErrAbortHandler {
		a.log.Error(logs.HTTPFailure, logs.Fields{"reason": fmt.Sprint(p), "stack": string(debug.Stack())})
		problem(w, http.StatusInternalServerError, "internal", "the server failed")
	}
}

func (a *App) ready(w http.ResponseWriter, r *http.Request) {
	if a.draining.Load() {
		a.text(w, r, http.StatusServiceUnavailable, "draining")
		return
	}
	a.text(w, r, http.StatusOK, "ready")
}

func (a *App) text(w http.ResponseWriter, r *http.Request, status int, text string) {
	if !readOnly(w, r) {
		return
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = w.Write([]byte(text + "\n"))
}

// readOnly lets GET and HEAD pass, and answers the rest.
func readOnly(w http.ResponseWriter, r *http.Request) bool {
	if r.Method == http.MethodGet || r.Method == http.MethodHead {
		return true
	}
	notAllowed(w, "GET, HEAD")
	return false
}

func notAllowed(w http.ResponseWriter, allow string) {
	w.Header().Set("Allow", allow)
	problem(w, http.StatusMethodNotAllowed, "method_not_allowed", "this address does not take that method")
}

// problem answers with an error as RFC 9457 has it. Code is ours, from the
// words of the protocol where they fit.
func problem(w http.ResponseWriter, status int, code, detail string) {
	b, _ := json.Marshal(struct {
		Type   string `json:"type"`
		Title  string `json:"title"`
		Status int    `json:"status"`
		Code   string `json:"code"`
		Detail string `json:"detail"`
	}{"about:blank", http.StatusText(status), status, code, detail})
	h := w.Header()
	h.Set("Content-Type", "application/problem+json")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	_, _ = w.Write(append(b, '\n'))
}

// ipOf is the address of the peer, without its port; empty: it is not known.
func ipOf(c transport.Conn) string {
	if a := c.Remote().Addr(); a.IsValid() {
		return a.String()
	}
	return ""
}

// remoteIP is the address of the peer, without its port.
func remoteIP(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr
	}
	return strings.Clone(host)
}
