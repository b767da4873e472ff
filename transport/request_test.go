package transport

import (
	"bufio"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"
)

// plainHandshake is one as a browser sends it.
const plainHandshake = "GET /ws?room=a%20b&user=kim HTTP/1.1\r\nHost: chat.example:8080\r\nConnection: keep-alive, Upgrade\r\n" +
	"Pragma: no-cache\r\nCache-Control: no-cache\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64)\r\nUpgrade: websocket\r\n" +
	"Origin: http://chat.example:8080\r\nSec-WebSocket-Version: 13\r\nAccept-Encoding: gzip, deflate\r\nAccept-Language: en\r\n" +
	"Cookie: a=b; c=d\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n" +
	"Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\nSec-WebSocket-Protocol: rollcall.v1.json\r\n\r\n"

// sameRequest holds what parseHandshake made of head against net/http.
func sameRequest(t *testing.T, head string, got *http.Request) {
	t.Helper()
	want, err := http.ReadRequest(bufio.NewReader(strings.NewReader(head)))
	require.NoError(t, err, "%q", head)
	if want.Header.Get("Pragma") == "no-cache" && got.Header["Cache-Control"] == nil {
		want.Header.Del("Cache-Control") // net/http adds it
	}
	type essence struct {
		Method, URI, URL, Path, Query, Proto, Host string
		Major, Minor                               int
		Header                                     http.Header
		Length                                     int64
		Encoding                                   []string
	}
	of := func(r *http.Request) essence {
		return essence{
			r.Method, r.RequestURI, r.URL.String(), r.URL.EscapedPath(), r.URL.RawQuery, r.Proto, r.Host,
			r.ProtoMajor, r.ProtoMinor, r.Header, r.ContentLength, r.TransferEncoding,
		}
	}
	require.Empty(t, cmp.Diff(of(want), of(got)), "%q", head)
}

func TestParseHandshake(t *testing.T) {
	with := func(old, replacement string) string {
		require.Contains(t, plainHandshake, old)
		return strings.Replace(plainHandshake, old, replacement, 1)
	}
	const key = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
	for _, c := range []struct {
		name, head string
		plain      bool
	}{
		{"as a browser sends it", plainHandshake, true},
		{"names in small letters, blanks around values", with(key, "sec-websocket-key: \t dGhlIHNhbXBsZSBub25jZQ== \r\n"), true},
		{"a field twice", with(key, key+"X-A: 1\r\nx-a: 2\r\nX-A:3\r\n"), true},
		{"an empty value", with(key, key+"X-Empty:\r\n"), true},
		{"websocket among others", with("Upgrade: websocket", "Upgrade: h2c, WebSocket"), true},
		{"escapes in the path", with("/ws?", "/a%2Fb/ws?"), true},
		{"a wrong key is for the handler to refuse", with(key, "Sec-WebSocket-Key: no\r\n"), true},

		{"no upgrade", with("Upgrade: websocket\r\n", ""), false},
		{"another upgrade", with("Upgrade: websocket", "Upgrade: h2c"), false},
		{"another method", with("GET ", "POST "), false},
		{"a method in small letters", with("GET ", "get "), false},
		{"HTTP/1.0", with("HTTP/1.1", "HTTP/1.0"), false},
		{"no version", with(" HTTP/1.1", ""), false},
		{"the whole address", with("/ws", "http://chat.example/ws"), false},
		{"a blank in the target", with("a%20b", "a b"), false},
		{"a broken escape", with("%20", "%2"), true}, // in a query: net/http takes it, too
		{"a broken escape in the path", with("/ws?", "/ws%2?"), false},
		{"no host", with("Host: chat.example:8080\r\n", ""), false},
		{"two hosts", with("Host: chat.example:8080\r\n", "Host: a\r\nHost: b\r\n"), false},
		{"an odd host", with("chat.example:8080\r\n", "a/b\r\n"), false},
		{"a body", with(key, key+"Content-Length: 1\r\n"), false},
		{"a body in chunks", with(key, key+"Transfer-Encoding: chunked\r\n"), false},
		{"an expectation", with(key, key+"Expect: 100-continue\r\n"), false},
		{"a folded line", with(key, key+" more\r\n"), false},
		{"a blank before the colon", with(key, key+"X-A : 1\r\n"), false},
		{"no colon", with(key, key+"X-A\r\n"), false},
		{"no name", with(key, key+": 1\r\n"), false},
		{"not ASCII", with(key, key+"X-A: é\r\n"), false},
		{"a control character", with(key, key+"X-A: \x01\r\n"), false},
		{"a bare line feed", with(key, key+"X-A: 1\nX-B: 2\r\n"), false},
		{"a bare carriage return", with(key, key+"X-A: 1\rX-B: 2\r\n"), false},
		{"more fields than anybody has", with(key, key+strings.Repeat("X-A: 1\r\n", mostFields)), false},
		{"not the end", strings.TrimSuffix(plainHandshake, "\r\n"), false},
		{"more than the end", plainHandshake + "X", false},
		{"nothing", "", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := parseHandshake(c.head)
			require.Equal(t, c.plain, r != nil)
			if c.plain {
				sameRequest(t, c.head, r)
			}
		})
	}
}

// What takes the short way is what net/http would have made of it.
func FuzzParseHandshake(f *testing.F) {
	f.Add(plainHandshake)
	f.Add(upgradeRequest("/ws"))
	f.Add("GET // HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n\r\n")
	f.Add("GET /?a;b%zz HTTP/1.1\r\nhost:[::1]:80\r\nupgrade:websocket\r\nupgrade: x\r\n\r\n")
	f.Fuzz(func(t *testing.T, head string) {
		if r := parseHandshake(head); r != nil {
			sameRequest(t, head, r)
		}
	})
}

func BenchmarkParseHandshake(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if parseHandshake(plainHandshake) == nil {
			b.Fatal("nil")
		}
	}
}
