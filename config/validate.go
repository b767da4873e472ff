package config

import (
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"

	"rollcall/protocol/stomp"
)

// Problem is one thing wrong with a configuration.
type Problem struct {
	Where string // "file:line:column", a variable, a "--flag"; or "" when it came from code
	What  string // field, value and rule: "heartbeat.interval = 5ns, must be at least 10ms"
}

func (p Problem) String() string {
	if p.Where == "" {
		return p.What
	}
	return p.Where + ": " + p.What
}

// Problems is every problem found, as one error with a line for each.
type Problems []Problem

func (ps Problems) Error() string {
	lines := make([]string, len(ps))
	for i, p := range ps {
		lines[i] = p.String()
	}
	return strings.Join(lines, "\n")
}

// Validate returns everything wrong with c, nil when nothing is. A Config from
// Parse or Load has been validated already.
func (c *Config) Validate() []Problem {
	var problems []Problem
	bad := map[*knob]bool{}
	for k := range knobs() {
		if broken := k.broken(k.get(c)); broken != "" {
			bad[k] = true
			problems = append(problems, Problem{What: k.complain(k.get(c), broken)})
		}
	}
	for _, r := range relations {
		if !bad[r.a] && !bad[r.b] && !r.holds(c) {
			problems = append(problems, Problem{What: r.complain(c)})
		}
	}
	return problems
}

// broken returns the rule that v breaks, "must …", or "" if it keeps them all.
func (k *knob) broken(v any) string {
	if k.check != nil {
		if rule := k.check(v); rule != "" {
			return rule
		}
	}
	if k.options != nil {
		return k.brokenOption(v.(string))
	}
	if k.kind.number == nil {
		return ""
	}
	n := k.kind.number(v)
	switch {
	case n == 0 && k.zero != "":
		return ""
	case !(n >= k.min):
		return "must be at least " + k.bound(k.min) + k.zeroHint()
	case !(n <= k.max):
		return "must be at most " + k.bound(k.max)
	}
	return ""
}

func (k *knob) brokenOption(word string) string {
	for _, option := range k.options {
		if word == option {
			return ""
		}
	}
	return "must be " + oneOf(k.options) + didYouMean(nearest(word, k.options))
}

// zeroHint reminds of what 0 would do, "" where it does nothing special.
func (k *knob) zeroHint() string {
	if k.zero == "" {
		return ""
	}
	return ", or 0 (" + k.zero + ")"
}

// bound writes min or max as a value of the knob.
func (k *knob) bound(n float64) string {
	switch k.kind {
	case duration:
		return k.kind.format(time.Duration(n))
	case rate:
		return k.kind.format(n)
	default:
		return k.kind.format(int(n))
	}
}

// complain names field, value and rule. A secret's value stays out.
func (k *knob) complain(v any, rule string) string {
	if k.secret {
		return k.path + ", " + rule
	}
	return k.path + " = " + k.show(v) + ", " + rule
}

// show writes a value for a message: text that could blur into the sentence
// around it is quoted.
func (k *knob) show(v any) string {
	switch v := v.(type) {
	case string:
		return quote(v)
	case []string:
		quoted := make([]string, len(v))
		for i, item := range v {
			quoted[i] = quote(item)
		}
		return "[" + strings.Join(quoted, ", ") + "]"
	default:
		return k.kind.format(v)
	}
}

// quote is strconv.Quote of at most the first 80 bytes or so.
func quote(s string) string {
	if len(s) > 80 {
		return strconv.Quote(strings.ToValidUTF8(s[:80], "")) + "…"
	}
	return strconv.Quote(s)
}

// relation is a rule between two knobs.
type relation struct {
	a, b  *knob
	holds func(*Config) bool
	rule  string                   // that a breaks, with b as its object
	yield func(c *Config, k *knob) // makes k fit when only the other one was set; nil: an error then too
}

func (r relation) complain(c *Config) string {
	return r.a.complain(r.a.get(c), r.rule+" "+r.b.path+" ("+r.b.show(r.b.get(c))+")")
}

var relations = []relation{
	{
		a: find("session.idle_after"), b: find("session.disconnect_after"), rule: "must be less than",
		holds: func(c *Config) bool {
			s := c.Session
			return s.IdleAfter == 0 || s.DisconnectAfter == 0 || s.IdleAfter < s.DisconnectAfter
		},
		yield: func(c *Config, k *knob) {
			if k.path == "session.idle_after" {
				c.Session.IdleAfter = c.Session.DisconnectAfter / 2
			} else {
				c.Session.DisconnectAfter = 2 * c.Session.IdleAfter
			}
		},
	},
	{
		a: find("limits.outbound_bytes"), b: find("limits.message_bytes"), rule: "must be at least",
		holds: func(c *Config) bool { return c.Limits.OutboundBytes >= c.Limits.MessageBytes },
		yield: func(c *Config, k *knob) {
			if k.path == "limits.outbound_bytes" {
				c.Limits.OutboundBytes = c.Limits.MessageBytes
			} else {
				c.Limits.MessageBytes = c.Limits.OutboundBytes
			}
		},
	},
	{
		a: find("tls.cert"), b: find("tls.key"), rule: "must be set together with",
		holds: func(c *Config) bool { return (c.TLS.Cert == "") == (c.TLS.Key == "") },
	},
}

// find returns the knob with this path, nil if there is none.
func find(path string) *knob {
	for k := range knobs() {
		if k.path == path {
			return k
		}
	}
	return nil
}

func checkListen(v any) string {
	host, port, err := net.SplitHostPort(v.(string))
	if err != nil {
		return "must be host:port, such as 127.0.0.1:8080 or :8080"
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || strconv.FormatUint(n, 10) != port {
		return "must have a port from 0 to 65535"
	}
	if strings.ContainsFunc(host, notPrintable) || strings.ContainsAny(host, "/@*") {
		return "must have an address or a name before the port, or nothing"
	}
	return ""
}

func checkFile(v any) string {
	if strings.ContainsRune(v.(string), 0) {
		return "must be the name of a file"
	}
	return ""
}

// checkOrigins looks at the outer form: scheme, host and port without a path.
func checkOrigins(v any) string {
	for i, origin := range v.([]string) {
		_, host, hasScheme := strings.Cut(origin, "://")
		if !hasScheme {
			host = origin
		}
		if host == "" || strings.ContainsFunc(origin, notPrintable) || strings.ContainsAny(host, "/?#@") {
			return fmt.Sprintf("must hold origins such as https://chat.example.com, without a path; item %d is none", i+1)
		}
	}
	return ""
}

// ownPaths are what a prefix of SockJS must leave alone.
var ownPaths = []string{"/ws", "/api", "/assets", "/healthz", "/readyz", "/metrics", "/stomp"}

// checkPrefixes wants paths that are what they look like in a request.
func checkPrefixes(v any) string {
	for i, prefix := range v.([]string) {
		good := strings.HasPrefix(prefix, "/")
		for part := range strings.SplitSeq(strings.TrimPrefix(prefix, "/"), "/") {
			good = good && part != "" && part != "." && part != ".." && !strings.ContainsFunc(part, notPathByte)
		}
		if !good || len(prefix) > 128 {
			return fmt.Sprintf("must hold paths such as /sockjs, of letters, digits and . _ ~ -, without a slash at the end; item %d is none", i+1)
		}
		for _, own := range ownPaths {
			if prefix == own || strings.HasPrefix(prefix, own+"/") {
				return fmt.Sprintf("must leave alone what is below %s, which the server has itself", own)
			}
		}
	}
	return ""
}

// checkRoutes has the routes read by the package that follows them.
func checkRoutes(v any) string {
	if _, err := stomp.ParseRoutes(v.([]string)); err != nil {
		return err.Error()
	}
	return ""
}

func notPathByte(r rune) bool {
	letter := r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z'
	return !letter && (r < '0' || r > '9') && !strings.ContainsRune("._~-", r)
}

func checkClientURL(v any) string {
	s := v.(string)
	path := strings.HasPrefix(s, "/") && !strings.HasPrefix(s, "//")
	if s != "" && !path && !strings.HasPrefix(s, "http://") && !strings.HasPrefix(s, "https://") || strings.ContainsFunc(s, notPrintable) {
		return "must be a path that begins with /, or an http(s) URL"
	}
	return ""
}

// maskedKey is what `config print` shows in place of a key.
const maskedKey = "********"

func checkKeys(v any) string {
	for i, key := range v.([]string) {
		switch {
		case key == maskedKey:
			return fmt.Sprintf("must hold the keys themselves; item %d is the mask that config print shows", i+1)
		case key == "" || len(key) > 256:
			return fmt.Sprintf("must hold keys of 1 to 256 bytes each; item %d has %d", i+1, len(key))
		case strings.ContainsFunc(key, func(r rune) bool { return r <= ' ' || r > '~' }):
			return fmt.Sprintf("must hold keys of printable ASCII without spaces; item %d has others", i+1)
		}
	}
	return ""
}

// safeKey is how long a key is that nobody guesses, if it is random.
const safeKey = 16

// weakKeys says which keys are too short to be safe; empty: none.
func weakKeys(keys []string) string {
	for i, key := range keys {
		if len(key) < safeKey {
			return fmt.Sprintf("api.keys holds a key that can be guessed: item %d has %d bytes, of %d or more it should be", i+1, len(key), safeKey)
		}
	}
	return ""
}

func checkAuth(v any) string {
	if v.(string) == "jwt" {
		return "must be none: this version has no authentication by token"
	}
	return ""
}

// notPrintable finds what has no place in a host name.
func notPrintable(r rune) bool { return r <= ' ' || r == 0x7f || r == '\uFFFD' }
