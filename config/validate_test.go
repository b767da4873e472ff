package config

import (
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestValidateNamesFieldValueAndRule(t *testing.T) {
	for _, c := range []struct {
		story  string
		change func(*Config)
		want   string // "" when nothing is wrong
	}{
		{"as it comes", func(c *Config) {}, ""},

		{"every interface", func(c *Config) { c.Listen = ":8080" }, ""},
		{"a port of the kernel's choice", func(c *Config) { c.Listen = "localhost:0" }, ""},
		{"IPv6", func(c *Config) { c.Listen = "[fe80::1%eth0]:80" }, ""},
		{"no port", func(c *Config) { c.Listen = "localhost" }, `listen = "localhost", must be host:port, such as 127.0.0.1:8080 or :8080`},
		{"nothing", func(c *Config) { c.Listen = "" }, `listen = "", must be host:port, such as 127.0.0.1:8080 or :8080`},
		{"a port too far", func(c *Config) { c.Listen = ":65536" }, `listen = ":65536", must have a port from 0 to 65535`},
		{"a port by name", func(c *Config) { c.Listen = ":http" }, `listen = ":http", must have a port from 0 to 65535`},
		{"a URL", func(c *Config) { c.Listen = "http://localhost:80" }, `listen = "http://localhost:80", must be host:port, such as 127.0.0.1:8080 or :8080`},
		{"a space", func(c *Config) { c.Listen = "local host:80" }, `listen = "local host:80", must have an address or a name before the port, or nothing`},

		{"origins of all forms", func(c *Config) {
			c.Origins = []string{"*", "https://a.example", "https://*.a.example:8443", "a.example", "http://[::1]:8080"}
		}, ""},
		{"an origin with a path", func(c *Config) { c.Origins = []string{"*", "https://a.example/"} }, `origins = ["*", "https://a.example/"], must hold origins such as https://chat.example.com, without a path; item 2 is none`},
		{"an empty origin", func(c *Config) { c.Origins = []string{""} }, `origins = [""], must hold origins such as https://chat.example.com, without a path; item 1 is none`},
		{"a scheme alone", func(c *Config) { c.Origins = []string{"https://"} }, `origins = ["https://"], must hold origins such as https://chat.example.com, without a path; item 1 is none`},

		{"drain at its most", func(c *Config) { c.Drain = 10 * time.Minute }, ""},
		{"drain over it", func(c *Config) { c.Drain = 10*time.Minute + 1 }, `drain = 10m0.000000001s, must be at most 10m`},
		{"drain backwards", func(c *Config) { c.Drain = -1 }, `drain = -1ns, must be at least 0, or 0 (all at once)`},

		{"a certificate", func(c *Config) { c.TLS = TLS{"c.pem", "k.pem"} }, ""},
		{"half a certificate", func(c *Config) { c.TLS.Cert = "c.pem" }, `tls.cert = "c.pem", must be set together with tls.key ("")`},
		{"a file name that is none", func(c *Config) { c.TLS = TLS{"c\x00", "k.pem"} }, `tls.cert = "c\x00", must be the name of a file`},

		{"keys at their shortest and longest", func(c *Config) { c.API.Keys = []string{strings.Repeat("k", 16), strings.Repeat("k", 256)} }, ""},
		{"an empty key", func(c *Config) { c.API.Keys = []string{strings.Repeat("k", 16), ""} }, `api.keys, must hold keys of 1 to 256 bytes each; item 2 has 0`},
		{"a long key", func(c *Config) { c.API.Keys = []string{strings.Repeat("k", 257)} }, `api.keys, must hold keys of 1 to 256 bytes each; item 1 has 257`},
		{"a key with a space", func(c *Config) { c.API.Keys = []string{"0123456789 abcdef"} }, `api.keys, must hold keys of printable ASCII without spaces; item 1 has others`},
		{"a mask", func(c *Config) { c.API.Keys = []string{maskedKey} }, `api.keys, must hold the keys themselves; item 1 is the mask that config print shows`},

		{"tokens", func(c *Config) { c.Auth.Mode = "jwt" }, `auth.mode = "jwt", must be none: this version has no authentication by token`},
		{"an unknown mode", func(c *Config) { c.Auth.Mode = "ldap" }, `auth.mode = "ldap", must be none`},

		{"no ladder", func(c *Config) { c.Session.IdleAfter, c.Session.DisconnectAfter = 0, 0 }, ""},
		{"idle only", func(c *Config) { c.Session.IdleAfter, c.Session.DisconnectAfter = time.Hour, 0 }, ""},
		{"disconnect only", func(c *Config) { c.Session.IdleAfter, c.Session.DisconnectAfter = 0, instant }, ""},
		{"idle a moment before disconnected", func(c *Config) { c.Session.IdleAfter, c.Session.DisconnectAfter = time.Hour-1, time.Hour }, ""},
		{"idle when disconnected", func(c *Config) { c.Session.IdleAfter, c.Session.DisconnectAfter = time.Hour, time.Hour }, `session.idle_after = 1h, must be less than session.disconnect_after (1h)`},
		{"a slip of units", func(c *Config) { c.Session.MaxAge = 60 }, `session.max_age = 60ns, must be at least 10ms, or 0 (off)`},
		{"resume", func(c *Config) { c.Session.ResumeWindow = 1 }, `session.resume_window = 1ns, must be at least 10ms, or 0 (off)`},

		{"one session per user", func(c *Config) { c.Session.PerUser = "oldest" }, ""},
		{"two sessions per user", func(c *Config) { c.Session.PerUser = "2" }, `session.per_user = "2", must be off, newest or oldest`},

		{"no heartbeat", func(c *Config) { c.Heartbeat.Interval = 0 }, ""},
		{"the fastest heartbeat", func(c *Config) { c.Heartbeat = Heartbeat{instant, instant} }, ""},
		{"too fast a heartbeat", func(c *Config) { c.Heartbeat.Interval = 5 }, `heartbeat.interval = 5ns, must be at least 10ms, or 0 (off)`},
		{"no patience", func(c *Config) { c.Heartbeat.Timeout = 0 }, `heartbeat.timeout = 0, must be at least 10ms`},

		{"the shortest messages", func(c *Config) { c.Limits.MessageBytes = 1024 }, ""},
		{"shorter ones", func(c *Config) { c.Limits.MessageBytes = 1023 }, `limits.message_bytes = 1023, must be at least 1KiB`},
		{"the longest messages", func(c *Config) { c.Limits.MessageBytes, c.Limits.OutboundBytes = 64*mib, 64*mib }, ""},
		{"longer ones", func(c *Config) { c.Limits.MessageBytes, c.Limits.OutboundBytes = 64*mib+1, gib }, `limits.message_bytes = 67108865, must be at most 64MiB`},
		{"a queue for less than a message", func(c *Config) { c.Limits.OutboundBytes = 64*kib - 1 }, `limits.outbound_bytes = 65535, must be at least limits.message_bytes (64KiB)`},
		{"the slowest rate", func(c *Config) { c.Limits.PublishRate = 0.001 }, ""},
		{"a rate below it", func(c *Config) { c.Limits.PublishRate = 0.0001 }, `limits.publish_rate = 0.0001, must be at least 0.001, or 0 (no limit)`},
		{"a rate that is no number", func(c *Config) { c.Limits.ErrorRate = math.NaN() }, `limits.error_rate = NaN, must be at least 0.001, or 0 (no limit)`},
		{"a rate without end", func(c *Config) { c.Limits.ControlRate = math.Inf(1) }, `limits.control_rate = +Inf, must be at most 1000000`},
		{"connections backwards", func(c *Config) { c.Limits.Connections = -1 }, `limits.connections = -1, must be at least 1, or 0 (nine tenths of the open files allowed)`},
		{"no rooms", func(c *Config) { c.Limits.Rooms = 0 }, `limits.rooms = 0, must be at least 1`},

		{"a room that keeps nothing", func(c *Config) { c.Room = Room{} }, ""},
		{"a route to nowhere", func(c *Config) { c.STOMP.Routes = []string{"/app/hello=/queue/x"} }, `stomp.routes = ["/app/hello=/queue/x"], must lead to /topic/{room}, /app/{room} or /user/{user}/queue/{name}; item 1 does not`},
		{"a prefix without a slash", func(c *Config) { c.SockJS.Prefixes = []string{"sockjs"} }, `sockjs.prefixes = ["sockjs"], must hold paths such as /sockjs, of letters, digits and . _ ~ -, without a slash at the end; item 1 is none`},
		{"a prefix with one at its end", func(c *Config) { c.SockJS.Prefixes = []string{"/a", "/b/"} }, `sockjs.prefixes = ["/a", "/b/"], must hold paths such as /sockjs, of letters, digits and . _ ~ -, without a slash at the end; item 2 is none`},
		{"the root as a prefix", func(c *Config) { c.SockJS.Prefixes = []string{"/"} }, `sockjs.prefixes = ["/"], must hold paths such as /sockjs, of letters, digits and . _ ~ -, without a slash at the end; item 1 is none`},
		{"a prefix in the API", func(c *Config) { c.SockJS.Prefixes = []string{"/api/chat"} }, `sockjs.prefixes = ["/api/chat"], must leave alone what is below /api, which the server has itself`},
		{"a script from nowhere", func(c *Config) { c.SockJS.ClientURL = "sockjs.js" }, `sockjs.client_url = "sockjs.js", must be a path that begins with /, or an http(s) URL`},
		{"a log nobody reads", func(c *Config) { c.Log.Level = "trace" }, `log.level = "trace", must be debug, info, warn or error`},
		{"long nonsense", func(c *Config) { c.Log.Format = strings.Repeat("x", 1000) }, `log.format = "` + strings.Repeat("x", 80) + `"…, must be auto, json or text`},
	} {
		t.Run(c.story, func(t *testing.T) {
			cfg := Default()
			c.change(&cfg)
			problems := cfg.Validate()
			if c.want == "" {
				require.Empty(t, problems)
				return
			}
			require.Len(t, problems, 1)
			require.Equal(t, c.want, problems[0].String())
		})
	}
}

func TestTheZeroConfigIsRefusedAndDoesNotPanic(t *testing.T) {
	require.NotEmpty(t, new(Config).Validate())
}

func TestTheTableIsComplete(t *testing.T) {
	for k := range knobs() {
		require.Empty(t, k.broken(k.def), "the default of %s", k.path)
		require.NotEmpty(t, k.does, k.path)
		require.NotEmpty(t, k.more, k.path)
		require.NotEmpty(t, k.cost, k.path)
		if k.kind.number != nil {
			require.Greater(t, k.max, k.min, k.path)
		}
		if k.kind == count || k.kind == rate {
			require.NotEmpty(t, k.unit, k.path)
		}
		require.Equal(t, k.kind == choice, k.options != nil, k.path)
	}
}

func TestHowValuesAreWritten(t *testing.T) {
	for _, c := range []struct {
		kind  *kind
		text  string
		value any    // nil: refused
		again string // how the value is written back; "" as text
	}{
		{duration, "0", time.Duration(0), ""},
		{duration, "5m", 5 * time.Minute, ""},
		{duration, "5m0s", 5 * time.Minute, "5m"},
		{duration, "60m", time.Hour, "1h"},
		{duration, "1h0m1s", time.Hour + time.Second, ""},
		{duration, "10m", 10 * time.Minute, ""},
		{duration, "1.5s", 1500 * time.Millisecond, ""},
		{duration, "5", nil, ""},
		{duration, "5 parsecs", nil, ""},
		{duration, "off", nil, ""},
		{duration, "999999999h", nil, ""},

		{size, "0", 0, ""},
		{size, "65536", 65536, "64KiB"},
		{size, "65537", 65537, ""},
		{size, "3MiB", 3 << 20, ""},
		{size, "1024 KiB", 1 << 20, "1MiB"},
		{size, "1GiB", 1 << 30, ""},
		{size, "-1KiB", -1024, ""},
		{size, "1.5KiB", nil, ""},
		{size, "64KB", nil, ""},
		{size, "64k", nil, ""},
		{size, "KiB", nil, ""},
		{size, "9223372036854775807KiB", nil, ""},
		{size, "-9223372036854775807KiB", nil, ""},

		{count, "100000", 100000, ""},
		{count, "1_000", nil, ""},
		{count, "0x10", nil, ""},
		{count, "99999999999999999999", nil, ""},

		{rate, "20", 20.0, ""},
		{rate, "0.5", 0.5, ""},
		{rate, "1e3", 1000.0, "1000"},
		{rate, "NaN", nil, ""},
		{rate, "1e999", nil, ""},
		{rate, "20/s", nil, ""},

		{list, "a, b,,c ", []string{"a", "b", "c"}, "a,b,c"},
		{list, " , ", []string(nil), ""},
	} {
		t.Run(fmt.Sprintf("%s %q", c.kind.want, c.text), func(t *testing.T) {
			value, ok := c.kind.parse(c.text)
			require.Equal(t, c.value != nil, ok)
			if !ok {
				return
			}
			require.Equal(t, c.value, value)
			if c.again == "" && c.kind != list {
				c.again = c.text
			}
			require.Equal(t, c.again, c.kind.format(value))
		})
	}
}
