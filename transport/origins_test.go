package transport

import (
	"crypto/tls"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func TestOrigins(t *testing.T) {
	for _, x := range []struct {
		name    string
		list    []string
		host    string // of the request; https when it begins with https://
		origins []string
		want    bool
	}{
		{"no Origin: not a browser", nil, "chat.example", nil, true},
		{"same", nil, "chat.example", []string{"http://chat.example"}, true},
		{"same, port written out", nil, "chat.example:80", []string{"http://chat.example"}, true},
		{"same, port left out", nil, "chat.example", []string{"http://chat.example:80"}, true},
		{"same, TLS", nil, "https://chat.example", []string{"https://chat.example:443"}, true},
		{"same in another case", nil, "Chat.Example", []string{"HTTP://CHAT.example"}, true},
		{"same, IPv6", nil, "[::1]:8080", []string{"http://[::1]:8080"}, true},
		{"another scheme", nil, "chat.example", []string{"https://chat.example"}, false},
		{"another scheme, TLS", nil, "https://chat.example", []string{"http://chat.example"}, false},
		{"another port", nil, "chat.example:8080", []string{"http://chat.example:8081"}, false},
		{"another host", nil, "chat.example", []string{"http://evil.example"}, false},
		{"our name inside another", nil, "chat.example", []string{"http://chat.example.evil.example"}, false},
		{"empty", nil, "chat.example", []string{""}, false},
		{"null", nil, "chat.example", []string{"null"}, false},
		{"two of them", nil, "chat.example", []string{"http://chat.example", "http://chat.example"}, false},
		{"with a path", nil, "chat.example", []string{"http://chat.example/"}, false},
		{"with a user", nil, "chat.example", []string{"http://me@chat.example"}, false},
		{"with a query", nil, "chat.example", []string{"http://chat.example?"}, false},
		{"with a fragment", nil, "chat.example", []string{"http://chat.example#"}, false},
		{"not a URL", nil, "chat.example", []string{"http://%zz"}, false},
		{"listed", []string{"https://app.example"}, "chat.example", []string{"https://app.example"}, true},
		{"listed, but another scheme", []string{"https://app.example"}, "chat.example", []string{"http://app.example"}, false},
		{"listed: same origin still allowed", []string{"https://app.example"}, "chat.example", []string{"http://chat.example"}, true},
		{"below", []string{"https://*.app.example"}, "chat.example", []string{"https://a.app.example"}, true},
		{"far below", []string{"https://*.app.example"}, "chat.example", []string{"https://a.b.app.example"}, true},
		{"not below", []string{"https://*.app.example"}, "chat.example", []string{"https://app.example"}, false},
		{"looks like below", []string{"https://*.app.example"}, "chat.example", []string{"https://evilapp.example"}, false},
		{"any port", []string{"http://localhost:*"}, "chat.example", []string{"http://localhost:5173"}, true},
		{"any port, default too", []string{"http://localhost:*"}, "chat.example", []string{"http://localhost"}, true},
		{"any port, another scheme", []string{"http://localhost:*"}, "chat.example", []string{"https://localhost:5173"}, false},
		{"any port of IPv6", []string{"http://[::1]:*"}, "chat.example", []string{"http://[::1]:5173"}, true},
		{"an app's scheme", []string{"capacitor://localhost"}, "chat.example", []string{"capacitor://localhost"}, true},
		{"everything", []string{"*"}, "chat.example", []string{"http://evil.example"}, true},
		{"everything, null too", []string{"*"}, "chat.example", []string{"null"}, true},
		{"null where listed", []string{"null"}, "chat.example", []string{"null"}, true},
	} {
		o, err := ParseOrigins(x.list)
		require.NoError(t, err, x.name)
		r := handshake()
		r.Host = x.host
		if host, ok := strings.CutPrefix(x.host, "https://"); ok {
			r.Host, r.TLS = host, &tls.ConnectionState{}
		}
		r.Header["Origin"] = x.origins
		require.Equal(t, x.want, o.Allows(r), x.name)
	}
}

func TestParseOriginsSaysWhatIsWrong(t *testing.T) {
	for list, want := range map[string]string{
		"example.com":              "want scheme://host",
		"":                         "want scheme://host",
		"https://":                 "without path, query or user",
		"https://example.com/chat": "without path, query or user",
		"https://a.*.example.com":  `"*" may only stand alone`,
		"https://*":                `"*" may only stand alone`,
		"*://example.com":          `"*" may only stand alone`,
		"https://example.com:80:*": "", // any error will do
		"https://example.com:x":    "without path, query or user",
		"**":                       "want scheme://host",
	} {
		_, err := ParseOrigins([]string{"https://fine.example", list})
		require.ErrorContains(t, err, want, list)
		require.ErrorContains(t, err, `origin "`+list+`"`)
	}
}

// Whatever a client puts into Origin, nothing but our own origin gets in by
// default, and nothing panics.
func TestOriginsUnderNoise(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := rapid.OneOf(rapid.String(), rapid.StringMatching(`https?://[a-z.:@/\[\]%0-9]{0,20}`)).Draw(t, "origin")
		r := handshake()
		r.Host = "chat.example"
		r.Header = http.Header{"Origin": {s}}
		if (Origins{}).Allows(r) {
			page, ok := parseOrigin(s)
			require.True(t, ok)
			require.Equal(t, origin{scheme: "http", host: "chat.example", port: "80"}, page)
		}
	})
}
