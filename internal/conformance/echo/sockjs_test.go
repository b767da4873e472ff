package main

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"rollcall/internal/conformance/raw"
	"rollcall/transport"
)

// The cases of the SockJS protocol, section by section of sockjs-protocol 0.3.3.
// All but one: the handshake of drafts 75 and 76 of WebSocket is not spoken.

// suite is a server with the services, and one client.
type suite struct {
	*server
	t *testing.T
}

func newSuite(t *testing.T) *suite {
	t.Parallel()
	return &suite{serve(t, options(transport.ModeAuto, 1, maxMessage), false), t}
}

// answer is what came back, read to its end.
type answer struct {
	*http.Response
	body string
}

// stream asks, and leaves the body to be read.
func (s *suite) stream(method, path, body string, headers ...string) *answer {
	s.t.Helper()
	r, err := http.NewRequestWithContext(s.t.Context(), method, "http://"+s.addr+path, strings.NewReader(body))
	require.NoError(s.t, err)
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Do(r)
	require.NoError(s.t, err)
	s.t.Cleanup(func() { _ = resp.Body.Close() })
	return &answer{Response: resp}
}

func (s *suite) ask(method, path, body string, headers ...string) *answer {
	s.t.Helper()
	a := s.stream(method, path, body, headers...)
	b, err := io.ReadAll(a.Body)
	require.NoError(s.t, err)
	a.body = string(b)
	return a
}

func (s *suite) get(path string, headers ...string) *answer {
	return s.ask("GET", path, "", headers...)
}

func (s *suite) post(path, body string, headers ...string) *answer {
	return s.ask("POST", path, body, headers...)
}

// poll is one poll, and what it brought.
func (s *suite) poll(session string) string {
	s.t.Helper()
	a := s.post(session+"/xhr", "")
	require.Equal(s.t, 200, a.StatusCode)
	return a.body
}

func (s *suite) send(session, body string) {
	s.t.Helper()
	a := s.post(session+"/xhr_send", body)
	require.Equal(s.t, 204, a.StatusCode)
	require.Empty(s.t, a.body)
}

// reads reads so many bytes, which must be those.
func (a *answer) reads(t *testing.T, want string) {
	t.Helper()
	got := make([]byte, len(want))
	_, err := io.ReadFull(a.Body, got)
	require.NoError(t, err)
	require.Equal(t, want, string(got))
}

func (a *answer) ends(t *testing.T) {
	t.Helper()
	b, err := io.ReadAll(a.Body)
	require.NoError(t, err)
	require.Empty(t, string(b))
}

const uncached = "no-store, no-cache, no-transform, must-revalidate, max-age=0"

func (a *answer) has(t *testing.T, headers ...string) {
	t.Helper()
	for i := 0; i < len(headers); i += 2 {
		require.Equal(t, headers[i+1], a.Header.Get(headers[i]), headers[i])
	}
}

func (a *answer) allows(t *testing.T, origin string) {
	t.Helper()
	credentials := "true"
	if origin == "" {
		origin, credentials = "*", ""
	}
	a.has(t, "Access-Control-Allow-Origin", origin, "Access-Control-Allow-Credentials", credentials)
}

var longAge = regexp.MustCompile(`public.*max-age=[1-9][0-9]{6}`)

func (s *suite) preflight(path, methods string) {
	s.t.Helper()
	for _, origin := range []string{"test", "null"} {
		a := s.ask("OPTIONS", path, "", "Origin", origin, "Access-Control-Request-Method", "POST")
		require.Equal(s.t, 204, a.StatusCode)
		require.Regexp(s.t, longAge, a.Header.Get("Cache-Control"))
		require.NotEmpty(s.t, a.Header.Get("Expires"))
		a.has(s.t, "Access-Control-Max-Age", "31536000", "Access-Control-Allow-Methods", methods)
		require.Empty(s.t, a.body)
		a.allows(s.t, origin)
	}
}

func TestSockJSGreeting(t *testing.T) {
	s := newSuite(t)
	for _, path := range []string{"/echo", "/echo/"} {
		a := s.get(path)
		require.Equal(t, 200, a.StatusCode)
		a.has(t, "Content-Type", "text/plain; charset=UTF-8", "Set-Cookie", "")
		require.Equal(t, "Welcome to SockJS!\n", a.body)
	}
	for _, rest := range []string{"/a", "/a.html", "//", "///", "/a/a", "/a/a/", "/a/"} {
		require.Equal(t, 404, s.get("/echo"+rest).StatusCode, rest)
	}
}

func TestSockJSIframePage(t *testing.T) {
	s := newSuite(t)
	page := regexp.MustCompile(`(?s)^<!DOCTYPE html>\n<html>\n<head>\n  <meta http-equiv="X-UA-Compatible" content="IE=edge" />\n` +
		`  <meta http-equiv="Content-Type" content="text/html; charset=UTF-8" />\n  <script src="(/[^"]*)"></script>\n  <script>\n` +
		`    document.domain = document.domain;\n    SockJS.bootstrap_iframe\(\);\n  </script>\n</head>\n<body>\n  <h2>Don't panic!</h2>\n` +
		`  <p>This is a SockJS hidden iframe. It's used for cross domain magic.</p>\n</body>\n</html>$`)
	for _, name := range []string{
		"iframe.html", "iframe-a.html", "iframe-.html", "iframe-0.1.2.html", "iframe-0.1.2abc-dirty.2144.html",
		"iframe-a.html?t=1234", "iframe-0.1.2.html?t=123414", "iframe-0.1.2abc-dirty.2144.html?t=qweqweq123",
	} {
		a := s.get("/echo/" + name)
		require.Equal(t, 200, a.StatusCode, name)
		a.has(t, "Content-Type", "text/html; charset=UTF-8", "Last-Modified", "", "Set-Cookie", "")
		require.Regexp(t, longAge, a.Header.Get("Cache-Control"))
		require.NotEmpty(t, a.Header.Get("Expires"))
		require.Regexp(t, page, a.body)
		again := s.get("/echo/"+name, "If-None-Match", a.Header.Get("ETag"))
		require.Equal(t, 304, again.StatusCode)
		require.Empty(t, again.body)
		again.has(t, "Content-Type", "", "ETag", a.Header.Get("ETag"))
		script := s.get(page.FindStringSubmatch(a.body)[1])
		require.Equal(t, 200, script.StatusCode)
		script.has(t, "Content-Type", "text/javascript; charset=UTF-8")
		require.Contains(t, script.body, "bootstrap_iframe")
	}
	for _, name := range []string{"iframe.htm", "iframe", "IFRAME.HTML", "IFRAME", "iframe.HTML", "iframe.xml", "iframe-/.html"} {
		require.Equal(t, 404, s.get("/echo/"+name).StatusCode, name)
	}
}

type sockjsInfo struct {
	WebSocket    bool     `json:"websocket"`
	CookieNeeded *bool    `json:"cookie_needed"`
	Origins      []string `json:"origins"`
	Entropy      *uint32  `json:"entropy"`
}

func (a *answer) info(t *testing.T) (i sockjsInfo) {
	t.Helper()
	require.Equal(t, 200, a.StatusCode)
	require.NoError(t, json.Unmarshal([]byte(a.body), &i))
	return i
}

func TestSockJSInfo(t *testing.T) {
	s := newSuite(t)
	a := s.get("/echo/info", "Origin", "test")
	a.has(t, "Content-Type", "application/json; charset=UTF-8", "Set-Cookie", "", "Cache-Control", uncached, "Expires", "", "Last-Modified", "")
	a.allows(t, "test")
	i := a.info(t)
	require.True(t, i.WebSocket)
	require.False(t, *i.CookieNeeded)
	require.Equal(t, []string{"*:*"}, i.Origins)
	require.NotEqual(t, *i.Entropy, *s.get("/echo/info").info(t).Entropy)
	s.preflight("/echo/info", "OPTIONS, GET")
	require.False(t, s.get("/disabled_websocket_echo/info").info(t).WebSocket)
	require.True(t, *s.get("/cookie_needed_echo/info").info(t).CookieNeeded)
}

func TestSockJSSessionURLs(t *testing.T) {
	s := newSuite(t)
	for _, path := range []string{"/a/a", "/_/_", "/1/1", "/abcdefgh_i-j%20/abcdefg_i-j%20"} {
		require.Equal(t, "o\n", s.poll("/echo"+path))
	}
	for _, path := range []string{"//", "/a./a", "/a/a.", "/./.", "/", "///", "/" + strings.Repeat("s", 129) + "/a"} {
		require.Equal(t, 404, s.get("/echo"+path+"/xhr").StatusCode, path)
		require.Equal(t, 404, s.post("/echo"+path+"/xhr", "").StatusCode, path)
	}
	require.Equal(t, "o\n", s.poll("/echo/000/same"))
	s.send("/echo/000/same", `["a"]`)
	require.Equal(t, `a["a"]`+"\n", s.poll("/echo/999/same"), "the server's part means nothing")
}

func TestSockJSProtocol(t *testing.T) {
	t.Run("a simple session", func(t *testing.T) {
		s := newSuite(t)
		require.Equal(t, "o\n", s.poll("/echo/000/x"))
		s.send("/echo/000/x", `["a"]`)
		require.Equal(t, `a["a"]`+"\n", s.poll("/echo/000/x"))
		require.Equal(t, 404, s.post("/echo/000/nobody/xhr_send", `["a"]`).StatusCode)
	})
	t.Run("closing a session", func(t *testing.T) {
		s := newSuite(t)
		require.Equal(t, "o\n", s.poll("/close/000/x"))
		for range 3 {
			require.Equal(t, `c[3000,"Go away!"]`+"\n", s.poll("/close/000/x"))
		}
	})
}

func TestSockJSWebSocketHTTPErrors(t *testing.T) {
	s := newSuite(t)
	require.Equal(t, 400, s.get("/echo/0/0/websocket").StatusCode)
	require.Equal(t, 400, s.get("/echo/0/0/websocket", "Upgrade", "WebSocket", "Connection", "close").StatusCode)
	for _, headers := range [][]string{{"Upgrade", "WebSocket", "Connection", "Upgrade"}, nil} {
		a := s.post("/echo/0/0/websocket", "", headers...)
		require.Equal(t, 405, a.StatusCode)
		a.has(t, "Content-Type", "", "Allow", "GET")
		require.Empty(t, a.body)
	}
	for _, path := range []string{"/0/0/websocket", "/websocket"} {
		require.Equal(t, 404, s.get("/disabled_websocket_echo"+path, "Upgrade", "websocket", "Connection", "Upgrade").StatusCode)
	}
}

// upgrade opens a WebSocket at a path.
func (s *suite) upgrade(path string) *raw.Client {
	s.t.Helper()
	c, resp, err := raw.Send(s.addr, nil, []byte(strings.Replace(raw.Request(s.addr), "GET / ", "GET "+path+" ", 1)))
	require.NoError(s.t, err)
	require.Equal(s.t, 101, resp.StatusCode)
	require.Equal(s.t, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=", resp.Header.Get("Sec-Websocket-Accept"))
	require.Empty(s.t, resp.Header.Get("Content-Length"))
	s.t.Cleanup(func() { _ = c.Close() })
	return c
}

func TestSockJSWebSocket(t *testing.T) {
	for _, x := range []struct {
		name, path string
		send       []byte
		want       []string
	}{
		{"transport", "/echo/000/x/websocket", raw.Bytes(raw.Text(`["a"]`)), []string{"text o", `text a["a"]`}},
		{"close", "/close/000/x/websocket", nil, []string{"text o", `text c[3000,"Go away!"]`, "close 3000 Go away!"}},
		{"empty frames", "/echo/000/x/websocket", raw.Bytes(raw.Text(""), raw.Text("[]"), raw.Text(`["a"]`)), []string{"text o", `text a["a"]`}},
		{"several messages, and a single one", "/echo/000/x/websocket", raw.Bytes(raw.Text(`["a","b"]`), raw.Text(`"c"`)),
			[]string{"text o", `text a["a"]`, `text a["b"]`, `text a["c"]`}},
		{"broken JSON", "/echo/000/x/websocket", raw.Bytes(raw.Text(`["a`)), []string{"text o", "close 1002 broken framing"}},
		{"JSON that is none of strings", "/echo/000/x/websocket", raw.Bytes(raw.Text(`[1]`)), []string{"text o", "close 1002 broken framing"}},
		{"a binary frame", "/echo/000/x/websocket", raw.Bytes(raw.Binary(`["a"]`)), []string{"text o", "close 1002 broken framing"}},
		{"raw transport", "/echo/websocket", raw.Bytes(raw.Text("Hello world!\uffff")), []string{"text Hello world!\uffff"}},
		{"raw close", "/close/websocket", nil, []string{"close 3000 Go away!"}},
	} {
		t.Run(x.name, func(t *testing.T) {
			c := newSuite(t).upgrade(x.path)
			_, err := c.Write(x.send)
			require.NoError(t, err)
			for _, want := range x.want {
				require.Equal(t, want, c.Show())
			}
		})
	}
	t.Run("a session's name may be used again", func(t *testing.T) {
		s := newSuite(t)
		for range 2 {
			one, two := s.upgrade("/echo/000/x/websocket"), s.upgrade("/echo/000/x/websocket")
			for i, c := range []*raw.Client{one, two} {
				require.Equal(t, "text o", c.Show())
				text := string(rune('a' + i))
				_, err := c.Write(raw.Bytes(raw.Text(`["` + text + `"]`)))
				require.NoError(t, err)
				require.Equal(t, `text a["`+text+`"]`, c.Show())
			}
			_, _ = one.Close(), two.Close()
		}
	})
}

func TestSockJSXHRPolling(t *testing.T) {
	t.Run("options", func(t *testing.T) {
		s := newSuite(t)
		s.preflight("/echo/abc/abc/xhr", "OPTIONS, POST")
		s.preflight("/echo/abc/abc/xhr_send", "OPTIONS, POST")
		for asked, want := range map[string]string{"a, b, c": "a, b, c", "": ""} {
			a := s.ask("OPTIONS", "/echo/0/x/xhr", "", "Origin", "test", "Access-Control-Request-Method", "POST", "Access-Control-Request-Headers", asked)
			a.allows(t, "test")
			a.has(t, "Access-Control-Allow-Headers", want)
		}
	})
	t.Run("transport", func(t *testing.T) {
		s := newSuite(t)
		a := s.post("/echo/0/x/xhr", "", "Origin", "test")
		require.Equal(t, "o\n", a.body)
		a.has(t, "Content-Type", "application/javascript; charset=UTF-8", "Cache-Control", uncached)
		a.allows(t, "test")
		a = s.post("/echo/0/x/xhr_send", `["x"]`, "Origin", "test")
		require.Equal(t, 204, a.StatusCode)
		a.has(t, "Content-Type", "text/plain; charset=UTF-8", "Cache-Control", uncached)
		a.allows(t, "test")
		require.Equal(t, `a["x"]`+"\n", s.poll("/echo/0/x"))
	})
	t.Run("invalid JSON", func(t *testing.T) {
		s := newSuite(t)
		s.poll("/echo/0/x")
		for body, want := range map[string]string{
			`["x`: "Broken JSON encoding.", "": "Payload expected.", `{"a":1}`: "Payload expected.", `"x"`: "Payload expected.", `[1]`: "Payload expected.",
		} {
			a := s.post("/echo/0/x/xhr_send", body)
			require.Equal(t, 500, a.StatusCode, body)
			require.Equal(t, want, a.body, body)
		}
		s.send("/echo/0/x", `["a"]`)
		require.Equal(t, `a["a"]`+"\n", s.poll("/echo/0/x"))
	})
	t.Run("content types", func(t *testing.T) {
		s := newSuite(t)
		s.poll("/echo/0/x")
		types := []string{
			"text/plain", "T", "application/json", "application/xml", "", "application/json; charset=utf-8", "text/xml; charset=utf-8", "text/xml",
		}
		for _, kind := range types {
			require.Equal(t, 204, s.post("/echo/0/x/xhr_send", `["a"]`, "Content-Type", kind).StatusCode, kind)
		}
		require.Equal(t, "a["+strings.Repeat(`"a",`, len(types)-1)+`"a"]`+"\n", s.poll("/echo/0/x"))
	})
	t.Run("frames without messages", func(t *testing.T) {
		s := newSuite(t)
		s.poll("/echo/0/x")
		s.send("/echo/0/x", "[]")
		s.send("/echo/0/x", `["a"]`)
		require.Equal(t, `a["a"]`+"\n", s.poll("/echo/0/x"))
	})
}

var streamPrelude = strings.Repeat("h", 2048) + "\n"

func TestSockJSXHRStreaming(t *testing.T) {
	s := newSuite(t)
	s.preflight("/echo/abc/abc/xhr_streaming", "OPTIONS, POST")
	a := s.stream("POST", "/echo/0/x/xhr_streaming", "", "Origin", "test")
	a.has(t, "Content-Type", "application/javascript; charset=UTF-8", "Cache-Control", uncached)
	a.allows(t, "test")
	a.reads(t, streamPrelude+"o\n")
	s.send("/echo/0/x", `["x"]`)
	a.reads(t, `a["x"]`+"\n")

	a = s.stream("POST", "/echo/0/y/xhr_streaming", "")
	a.reads(t, streamPrelude+"o\n")
	message := `["` + strings.Repeat("x", 128) + `"]`
	for range 31 { // 4156 bytes, the limit being 4096
		s.send("/echo/0/y", message)
		a.reads(t, "a"+message+"\n")
	}
	a.ends(t)
}

func TestSockJSEventSource(t *testing.T) {
	s := newSuite(t)
	a := s.stream("GET", "/echo/0/x/eventsource", "")
	a.has(t, "Content-Type", "text/event-stream", "Cache-Control", uncached)
	a.reads(t, "\r\ndata: o\r\n\r\n")
	s.send("/echo/0/x", `["x"]`)
	a.reads(t, "data: a[\"x\"]\r\n\r\n")
	s.send("/echo/0/x", `["  \u0000\n\r "]`)
	a.reads(t, "data: a[\"  \\u0000\\n\\r \"]\r\n\r\n")
	s.send("/echo/0/x", `["100% %41"]`) // clients decode percent signs
	a.reads(t, "data: a[\"100%25 %2541\"]\r\n\r\n")

	a = s.stream("GET", "/echo/0/y/eventsource", "")
	a.reads(t, "\r\ndata: o\r\n\r\n")
	message := `["` + strings.Repeat("x", 4096) + `"]`
	s.send("/echo/0/y", message)
	a.reads(t, "data: a"+message+"\r\n\r\n")
	a.ends(t)
}

func TestSockJSHTMLFile(t *testing.T) {
	const page = "<!doctype html>\n<html><head>\n  <meta http-equiv=\"X-UA-Compatible\" content=\"IE=edge\" />\n" +
		"  <meta http-equiv=\"Content-Type\" content=\"text/html; charset=UTF-8\" />\n</head><body><h2>Don't panic!</h2>\n  <script>\n" +
		"    document.domain = document.domain;\n    var c = parent.callback;\n    c.start();\n    function p(d) {c.message(d);};\n" +
		"    window.onload = function() {c.stop();};\n  </script>"
	s := newSuite(t)
	begin := func(session string) *answer {
		a := s.stream("GET", "/echo/0/"+session+"/htmlfile?c=%63allback", "")
		a.has(t, "Content-Type", "text/html; charset=UTF-8", "Cache-Control", uncached)
		lines := bufio.NewReader(a.Body)
		var head strings.Builder
		for !strings.HasSuffix(head.String(), "\r\n\r\n") {
			b, err := lines.ReadByte()
			require.NoError(t, err)
			head.WriteByte(b)
		}
		require.Equal(t, page, strings.TrimSpace(head.String()))
		require.Greater(t, head.Len(), 1024)
		a.Body = struct {
			io.Reader
			io.Closer
		}{lines, a.Body}
		a.reads(t, "<script>\np(\"o\");\n</script>\r\n")
		return a
	}
	a := begin("x")
	s.send("/echo/0/x", `["x"]`)
	a.reads(t, "<script>\np(\"a[\\\"x\\\"]\");\n</script>\r\n")
	s.send("/echo/0/x", `["</script>"]`) // must not end the script
	a.reads(t, "<script>\np(\"a[\\\"\\u003c/script>\\\"]\");\n</script>\r\n")

	a = begin("y")
	long := strings.Repeat("x", 4096)
	s.send("/echo/0/y", `["`+long+`"]`)
	a.reads(t, "<script>\np(\"a[\\\""+long+"\\\"]\");\n</script>\r\n")
	a.ends(t)
}

func TestSockJSCallbacks(t *testing.T) {
	s := newSuite(t)
	for _, transport := range []string{"htmlfile", "jsonp"} {
		a := s.get("/echo/a/a/" + transport)
		require.Equal(t, 500, a.StatusCode)
		require.Contains(t, a.body, `"callback" parameter required`)
		for _, callback := range []string{"%20", "*", "abc(", "abc%28", "", strings.Repeat("a", 65)} {
			a := s.get("/echo/a/a/" + transport + "?c=" + callback)
			require.Equal(t, 500, a.StatusCode, callback)
			require.Contains(t, a.body, `invalid "callback" parameter`)
		}
	}
}

func TestSockJSJSONPPolling(t *testing.T) {
	const form = "application/x-www-form-urlencoded"
	poll := func(s *suite, path string) string {
		s.t.Helper()
		a := s.get(path + "/jsonp?c=x")
		require.Equal(s.t, 200, a.StatusCode)
		return a.body
	}
	t.Run("transport", func(t *testing.T) {
		s := newSuite(t)
		a := s.get("/echo/0/x/jsonp?c=%63allback")
		a.has(t, "Content-Type", "application/javascript; charset=UTF-8", "Cache-Control", uncached, "X-Content-Type-Options", "nosniff")
		require.Equal(t, "/**/callback(\"o\");\r\n", a.body)
		a = s.post("/echo/0/x/jsonp_send", "d=%5B%22x%22%5D", "Content-Type", form)
		require.Equal(t, 200, a.StatusCode)
		require.Equal(t, "ok", a.body)
		a.has(t, "Content-Type", "text/plain; charset=UTF-8", "Cache-Control", uncached)
		a = s.get("/echo/0/x/jsonp?callback=callback")
		require.Equal(t, "/**/callback(\"a[\\\"x\\\"]\");\r\n", a.body)
	})
	t.Run("invalid JSON", func(t *testing.T) {
		s := newSuite(t)
		poll(s, "/echo/0/x")
		for body, want := range map[string]string{
			"d=%5B%22x": "Broken JSON encoding.", "d=%zz": "Broken JSON encoding.", "": "Payload expected.", "d=": "Payload expected.", "p=p": "Payload expected.",
		} {
			a := s.post("/echo/0/x/jsonp_send", body, "Content-Type", form)
			require.Equal(t, 500, a.StatusCode, body)
			require.Contains(t, a.body, want, body)
		}
		require.Equal(t, "ok", s.post("/echo/0/x/jsonp_send", "d=%5B%22b%22%5D", "Content-Type", form).body)
		require.Equal(t, "/**/x(\"a[\\\"b\\\"]\");\r\n", poll(s, "/echo/0/x"))
	})
	t.Run("content types", func(t *testing.T) {
		s := newSuite(t)
		poll(s, "/echo/0/x")
		require.Equal(t, "ok", s.post("/echo/0/x/jsonp_send", "d=%5B%22abc%22%5D", "Content-Type", form).body)
		require.Equal(t, "ok", s.post("/echo/0/x/jsonp_send", `["%61bc"]`, "Content-Type", "text/plain").body)
		require.Equal(t, "/**/x(\"a[\\\"abc\\\",\\\"%61bc\\\"]\");\r\n", poll(s, "/echo/0/x"))
	})
	t.Run("close", func(t *testing.T) {
		s := newSuite(t)
		require.Equal(t, "/**/x(\"o\");\r\n", poll(s, "/close/0/x"))
		for range 2 {
			require.Equal(t, "/**/x(\"c[3000,\\\"Go away!\\\"]\");\r\n", poll(s, "/close/0/x"))
		}
	})
	t.Run("frames without messages", func(t *testing.T) {
		s := newSuite(t)
		poll(s, "/echo/0/x")
		require.Equal(t, "ok", s.post("/echo/0/x/jsonp_send", "d=%5B%5D", "Content-Type", form).body)
		require.Equal(t, "ok", s.post("/echo/0/x/jsonp_send", "d=%5B%22x%22%5D", "Content-Type", form).body)
		require.Equal(t, "/**/x(\"a[\\\"x\\\"]\");\r\n", poll(s, "/echo/0/x"))
	})
}

func TestSockJSCookie(t *testing.T) {
	s := newSuite(t)
	s.get("/cookie_needed_echo/info").has(t, "Set-Cookie", "")
	for _, x := range []struct{ method, transport, query string }{
		{"POST", "xhr", ""}, {"POST", "xhr_streaming", ""}, {"GET", "eventsource", ""}, {"GET", "htmlfile", "?c=c"}, {"GET", "jsonp", "?c=c"},
	} {
		path := "/cookie_needed_echo/0/" + x.transport
		s.stream(x.method, path+"/"+x.transport+x.query, "").has(t, "Set-Cookie", "JSESSIONID=dummy; Path=/")
		s.stream(x.method, path+"2/"+x.transport+x.query, "", "Cookie", "JSESSIONID=abcdef").has(t, "Set-Cookie", "JSESSIONID=abcdef; Path=/")
	}
	a := s.post("/cookie_needed_echo/0/jsonp/jsonp_send", "d=%5B%5D", "Content-Type", "application/x-www-form-urlencoded")
	a.has(t, "Set-Cookie", "JSESSIONID=dummy; Path=/")
	s.stream("POST", "/echo/0/x/xhr", "").has(t, "Set-Cookie", "")
}

func TestSockJSEncoding(t *testing.T) {
	s := newSuite(t)
	s.poll("/echo/0/x")
	var plain, escaped strings.Builder
	for r := rune(0x100); r < 0x10000; r++ {
		if r >= 0x200c && r <= 0x200f || r >= 0x2028 && r <= 0x202f || r >= 0x2060 && r <= 0x206f || r >= 0xfff0 {
			plain.WriteRune(r)
			escaped.WriteString(`\u` + string([]byte{hexDigit(r >> 12), hexDigit(r >> 8), hexDigit(r >> 4), hexDigit(r)}))
		}
	}
	s.send("/echo/0/x", `["`+plain.String()+`"]`)
	require.Equal(t, `a["`+escaped.String()+`"]`+"\n", s.poll("/echo/0/x"), "what the server must escape")

	var all, text strings.Builder
	for r := range rune(0x10000) {
		if r < 0xd800 || r > 0xdfff {
			all.WriteString(`\u` + string([]byte{hexDigit(r >> 12), hexDigit(r >> 8), hexDigit(r >> 4), hexDigit(r)}))
			text.WriteRune(r)
		}
	}
	s.send("/echo/0/x", `["`+all.String()+`"]`)
	var got []string
	require.NoError(t, json.Unmarshal([]byte(strings.TrimPrefix(s.poll("/echo/0/x"), "a")), &got))
	require.Equal(t, []string{text.String()}, got, "whatever a client escapes")
}

func hexDigit(r rune) byte { return "0123456789abcdef"[r&0xf] }

func TestSockJSHandlingClose(t *testing.T) {
	t.Run("the close frame goes to every receiver", func(t *testing.T) {
		s := newSuite(t)
		one := s.stream("POST", "/close/0/x/xhr_streaming", "")
		one.reads(t, streamPrelude+"o\nc[3000,\"Go away!\"]\n")
		two := s.stream("POST", "/close/0/x/xhr_streaming", "")
		two.reads(t, streamPrelude+"c[3000,\"Go away!\"]\n")
		one.ends(t)
		two.ends(t)
	})
	t.Run("one receiver at a time", func(t *testing.T) {
		s := newSuite(t)
		s.stream("POST", "/echo/0/x/xhr_streaming", "").reads(t, streamPrelude+"o\n")
		two := s.stream("POST", "/echo/0/x/xhr_streaming", "")
		two.reads(t, streamPrelude+"c[2010,\"Another connection still open\"]\n")
		two.ends(t)
	})
	t.Run("a broken stream is the session's end", func(t *testing.T) {
		s := newSuite(t)
		one := s.stream("POST", "/echo/0/x/xhr_streaming", "")
		one.reads(t, streamPrelude+"o\n")
		require.NoError(t, one.Body.Close())
		require.Equal(t, "o\n", s.pollFreed("/echo/0/x"))
	})
	t.Run("a broken poll is the session's end", func(t *testing.T) {
		s := newSuite(t)
		s.poll("/echo/0/x")
		// Of two polls one is told that there is another: that one waits.
		polls, breakOff := context.WithCancel(t.Context())
		defer breakOff()
		came := make(chan string, 2)
		for range 2 {
			go func() {
				r, err := http.NewRequestWithContext(polls, http.MethodPost, "http://"+s.addr+"/echo/0/x/xhr", nil)
				if err != nil {
					came <- err.Error()
					return
				}
				resp, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(r)
				if err != nil {
					came <- "broken"
					return
				}
				b, _ := io.ReadAll(resp.Body)
				_ = resp.Body.Close()
				came <- string(b)
			}()
		}
		require.Equal(t, "c[2010,\"Another connection still open\"]\n", <-came)
		breakOff()
		require.Equal(t, "broken", <-came)
		require.Equal(t, "o\n", s.pollFreed("/echo/0/x"))
	})
}

// pollFreed polls until the server has noticed that the request before is
// broken.
func (s *suite) pollFreed(session string) string {
	s.t.Helper()
	for {
		if frame := s.poll(session); !strings.HasPrefix(frame, "c[2010,") {
			return frame
		}
	}
}

// HTTP 1.0 and 1.1, byte by byte.
func TestSockJSHTTPVersions(t *testing.T) {
	dial := func(s *suite, request string) *bufio.Reader {
		s.t.Helper()
		nc, err := net.Dial("tcp", s.addr)
		require.NoError(s.t, err)
		s.t.Cleanup(func() { _ = nc.Close() })
		_, err = io.WriteString(nc, request)
		require.NoError(s.t, err)
		return bufio.NewReader(nc)
	}
	read := func(t *testing.T, r *bufio.Reader) *http.Response {
		t.Helper()
		resp, err := http.ReadResponse(r, nil)
		require.NoError(t, err)
		return resp
	}
	for _, version := range []string{"1.0", "1.1"} {
		t.Run(version+" with a length", func(t *testing.T) {
			s := newSuite(t)
			request := "GET /echo HTTP/" + version + "\r\nHost: x\r\nConnection: Keep-Alive\r\n\r\n"
			r := dial(s, request+request)
			for range 2 {
				resp := read(t, r)
				require.EqualValues(t, 19, resp.ContentLength)
				require.Empty(t, resp.TransferEncoding)
				b, err := io.ReadAll(resp.Body)
				require.NoError(t, err)
				require.Equal(t, "Welcome to SockJS!\n", string(b))
			}
		})
		t.Run(version+" as a stream", func(t *testing.T) {
			s := newSuite(t)
			resp := read(t, dial(s, "POST /close/0/x/xhr_streaming HTTP/"+version+"\r\nHost: x\r\nConnection: Keep-Alive\r\nContent-Length: 0\r\n\r\n"))
			require.EqualValues(t, -1, resp.ContentLength)
			require.Equal(t, version == "1.1", len(resp.TransferEncoding) == 1)
			b, err := io.ReadAll(resp.Body)
			require.NoError(t, err)
			require.Equal(t, streamPrelude+"o\nc[3000,\"Go away!\"]\n", string(b))
		})
	}
}

func TestSockJSServices(t *testing.T) {
	s := newSuite(t)
	require.Equal(t, "o\n", s.poll("/amplify/0/x"))
	s.send("/amplify/0/x", `["3"]`)
	require.Equal(t, "a[\"xxxxxxxx\"]\n", s.poll("/amplify/0/x"))
	require.Equal(t, "o\n", s.poll("/broadcast/0/x"))
	require.Equal(t, "o\n", s.poll("/broadcast/0/y"))
	s.send("/broadcast/0/x", `["hi"]`)
	require.Equal(t, "a[\"hi\"]\n", s.poll("/broadcast/0/x"))
	require.Equal(t, "a[\"hi\"]\n", s.poll("/broadcast/0/y"))
	require.Equal(t, "o\n", s.poll("/ticker/0/x"))
	require.Equal(t, "a[\"tick!\"]\n", s.poll("/ticker/0/x"))
}
