package transport

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
)

// Origins says which pages may open a WebSocket: those of the same origin, and
// those on a list. The check protects people's browsers, not the server: only
// browsers tell the truth in Origin (RFC 6455 §10.2), so a request without one
// is let in. The zero value allows the same origin only.
type Origins struct {
	any   bool
	rules []origin
}

// origin is one rule, or one page's origin.
type origin struct {
	scheme, host, port string
	below              bool // the host is any below .host
	anyPort            bool
}

// ParseOrigins reads a list of origins as a browser sends them,
// "https://chat.example.com" or "http://localhost:3000". The host may begin with
// "*." for any host below it ("https://*.example.com": not example.com itself),
// the port may be "*"; no port means the scheme's default. "*" alone allows
// every page, "null" those without an origin (sandboxed frames, files).
func ParseOrigins(list []string) (Origins, error) {
	var o Origins
	for _, s := range list {
		if s == "*" {
			o.any = true
			continue
		}
		rule, err := parseRule(s)
		if err != nil {
			return Origins{}, fmt.Errorf("origin %q: %w", s, err)
		}
		o.rules = append(o.rules, rule)
	}
	return o, nil
}

func parseRule(s string) (origin, error) {
	if s == "null" {
		return origin{scheme: "null"}, nil
	}
	plain, anyPort := strings.CutSuffix(s, ":*")
	scheme, rest, ok := strings.Cut(plain, "://")
	if !ok {
		return origin{}, fmt.Errorf(`want scheme://host or scheme://host:port, such as "https://example.com"`)
	}
	rest, below := strings.CutPrefix(rest, "*.")
	if strings.Contains(scheme+rest, "*") {
		return origin{}, fmt.Errorf(`"*" may only stand alone, begin the host ("https://*.example.com") or be the port ("http://localhost:*")`)
	}
	rule, ok := parseOrigin(scheme + "://" + rest)
	switch {
	case !ok:
		return origin{}, fmt.Errorf("want scheme://host or scheme://host:port, without path, query or user")
	case anyPort && strings.HasSuffix(plain, ":"+rule.port):
		return origin{}, fmt.Errorf("two ports")
	}
	rule.below, rule.anyPort = below, anyPort
	return rule, nil
}

// parseOrigin reads an Origin header (RFC 6454 §6.1) in lower case, with the
// scheme's default port filled in.
func parseOrigin(s string) (origin, bool) {
	if s == "null" {
		return origin{scheme: "null"}, true
	}
	u, err := url.Parse(strings.ToLower(s))
	if err != nil || u.Scheme == "" || u.Hostname() == "" || u.User != nil || u.Opaque != "" ||
		u.Path != "" || u.RawQuery != "" || u.ForceQuery || u.Fragment != "" || strings.HasSuffix(s, "#") || strings.HasSuffix(u.Host, ":") {
		return origin{}, false
	}
	o := origin{scheme: u.Scheme, host: u.Hostname(), port: u.Port()}
	if o.port == "" {
		o.port = defaultPort(o.scheme)
	}
	return o, true
}

func defaultPort(scheme string) string {
	switch scheme {
	case "http", "ws":
		return "80"
	case "https", "wss":
		return "443"
	}
	return ""
}

// Allows says whether the page that sent r may connect.
func (o Origins) Allows(r *http.Request) bool {
	headers := r.Header["Origin"]
	if o.any || len(headers) == 0 {
		return true
	}
	if len(headers) > 1 {
		return false
	}
	page, ok := parseOrigin(headers[0])
	if !ok {
		return false
	}
	if page == self(r) {
		return true
	}
	for _, rule := range o.rules {
		if rule.matches(page) {
			return true
		}
	}
	return false
}

// self is the origin under which the client asked for r.
func self(r *http.Request) origin {
	scheme := "http"
	if r.TLS != nil {
		scheme = "https"
	}
	o, _ := parseOrigin(scheme + "://" + r.Host)
	return o
}

func (rule origin) matches(page origin) bool {
	if rule.scheme != page.scheme || (!rule.anyPort && rule.port != page.port) {
		return false
	}
	if rule.below {
		return strings.HasSuffix(page.host, "."+rule.host)
	}
	return rule.host == page.host
}

// Sources are the same pages as sources of a Content-Security-Policy, such as
// its frame-ancestors.
func (o Origins) Sources() []string {
	if o.any {
		return []string{"*"}
	}
	all := []string{"'self'"}
	for _, rule := range o.rules {
		if rule.scheme == "null" { // no policy can name it
			continue
		}
		host, port := rule.host, rule.port
		if strings.Contains(host, ":") {
			host = "[" + host + "]"
		}
		if rule.below {
			host = "*." + host
		}
		if rule.anyPort {
			port = "*"
		}
		all = append(all, rule.scheme+"://"+host+":"+port)
	}
	return all
}
