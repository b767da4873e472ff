package main

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"rollcall/internal/conformance/raw"
)

func itoa(n int) string { return strconv.Itoa(n) }

func quote(s string) string { return fmt.Sprintf("%+.12q", s) }

// RFC 6455 §4.2.1: what a request must be, and how one that is not is answered.
func TestHandshake(t *testing.T) {
	edit := func(old, with string) string { return strings.Replace(raw.Request("127.0.0.1"), old, with, 1) }
	without := func(name string) string {
		lines := strings.Split(raw.Request("127.0.0.1"), "\r\n")
		kept := lines[:0]
		for _, l := range lines {
			if !strings.HasPrefix(l, name+":") {
				kept = append(kept, l)
			}
		}
		return strings.Join(kept, "\r\n")
	}
	with := func(lines ...string) string { return raw.Request("127.0.0.1", lines...) }
	cases := []struct {
		name, request string
		status        int
		header        string // that must be in the answer, "name: value"
	}{
		{"as the RFC writes it", with(), 101, "Sec-Websocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo="},
		{"names in any case", strings.NewReplacer("Upgrade: websocket", "uPgRaDe: WebSocket", "Connection: Upgrade", "connection: upgrade").Replace(with()), 101, ""},
		{"Connection with company", edit("Connection: Upgrade", "Connection: keep-alive, Upgrade"), 101, ""},
		{"Connection on two lines", edit("Connection: Upgrade", "Connection: keep-alive\r\nConnection: Upgrade"), 101, ""},
		{"deflate is declined by silence", with("Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits"), 101, "Sec-Websocket-Extensions: "},
		{"a bad offer of deflate too", with("Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits=99; =;;"), 101, "Sec-Websocket-Extensions: "},
		{"same origin", with("Origin: http://127.0.0.1"), 101, ""},
		{"query", edit("GET / ", "GET /?case=1&agent=x "), 101, ""},
		{"another origin", with("Origin: http://evil.example"), 403, ""},
		{"another port is another origin", with("Origin: http://127.0.0.1:81"), 403, ""},
		{"no Upgrade", without("Upgrade"), 426, "Upgrade: websocket"},
		{"Upgrade to something else", edit("Upgrade: websocket", "Upgrade: h2c"), 426, "Upgrade: websocket"},
		{"no Connection", without("Connection"), 400, ""},
		{"Connection without Upgrade", edit("Connection: Upgrade", "Connection: keep-alive"), 400, ""},
		{"no key", without("Sec-WebSocket-Key"), 400, ""},
		{"empty key", edit("dGhlIHNhbXBsZSBub25jZQ==", ""), 400, ""},
		{"key of 15 bytes", edit("dGhlIHNhbXBsZSBub25jZQ==", "dGhlIHNhbXBsZSBub25j"), 400, ""},
		{"key that is not base64", edit("dGhlIHNhbXBsZSBub25jZQ==", "!!!!!!!!!!!!!!!!!!!!!!=="), 400, ""},
		{"two keys", with("Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="), 400, ""},
		{"no version", without("Sec-WebSocket-Version"), 400, "Sec-Websocket-Version: 13"},
		{"version 12", edit("Version: 13", "Version: 12"), 426, "Sec-Websocket-Version: 13"},
		{"version 013", edit("Version: 13", "Version: 013"), 426, "Sec-Websocket-Version: 13"},
		{"POST", edit("GET", "POST"), 405, "Allow: GET"},
		{"HTTP/1.0", edit("HTTP/1.1", "HTTP/1.0"), 505, ""},
		{"a body", edit("Sec-WebSocket-Version: 13\r\n", "Sec-WebSocket-Version: 13\r\nContent-Length: 2\r\n") + "hi", 400, ""},
		{"no Host", without("Host"), 400, ""},
		{"another path", edit("GET / ", "GET /nowhere "), 404, ""},
		{"headers without end", with("X: " + strings.Repeat("x", 20_000)), 431, ""},
		{"not HTTP", "\x81\x85\x01\x02\x03\x04hello\r\n\r\n", 400, ""},
	}
	everyWay(t, func(t *testing.T, s *server) {
		for _, x := range cases {
			c, resp, err := raw.Send(s.addr, s.client, []byte(strings.Replace(x.request, "http://127.0.0.1\r", s.scheme()+"://127.0.0.1\r", 1)))
			require.NoError(t, err, x.name)
			require.Equal(t, x.status, resp.StatusCode, x.name)
			if name, value, ok := strings.Cut(x.header, ": "); ok {
				require.Equal(t, value, resp.Header.Get(name), "%s: %s", x.name, name)
			}
			if x.status == http.StatusSwitchingProtocols {
				require.Equal(t, "websocket", resp.Header.Get("Upgrade"), x.name)
				require.Equal(t, "Upgrade", resp.Header.Get("Connection"), x.name)
				check(t, c, exchange{x.name, nil, says("text hi")}, raw.Bytes(raw.Text("hi"), bye))
			}
			_ = c.Close()
		}
	})
}

func (s *server) scheme() string {
	if s.client != nil {
		return "https"
	}
	return "http"
}

// A client may end its stream, or vanish, at any byte: the server goes on.
func TestEarlyEnd(t *testing.T) {
	whole := raw.Bytes(raw.Text("hello"), raw.Part(raw.Text("fragment")), raw.Ping("ping"))
	everyWay(t, func(t *testing.T, s *server) {
		for n := range len(whole) {
			c := s.dial(t, whole[:n])
			require.NoError(t, c.EndWrites())
			got := c.Show()
			if n >= 11 {
				require.Equal(t, "text hello", got, "the answer to a whole message before the end is sent")
				got = c.Show()
			}
			require.Equal(t, "end", got, "end after %d bytes", n)
			_ = c.Close()
		}
		request := raw.Request(s.addr)
		for n := 0; n < len(request); n += 7 {
			c, _, err := raw.Send(s.addr, s.client, []byte(request[:n]+"\r\n\r\n"))
			if err == nil {
				_ = c.Close()
			}
		}
		check(t, s.dial(t, nil), exchange{"still there", nil, says("text still there")}, raw.Bytes(raw.Text("still there"), bye))
	})
}
