package transport

import (
	"crypto/sha1" //nolint:gosec // RFC 6455 §4.2.2 wants it; nothing secret depends on it
	"encoding/base64"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Handshake is a request that may become a WebSocket.
type Handshake struct {
	// Protocol is the sub-protocol that the connection speaks; "" where
	// Options.Protocols is empty.
	Protocol string

	told bool   // the client offered Protocol, so the answer names it
	key  string // Sec-WebSocket-Key
}

// RefusalKind is a reason to refuse a handshake.
type RefusalKind uint8

const (
	RefusedRequest        RefusalKind = iota // not a handshake of RFC 6455 §4.2.1
	RefusedVersion                           // Sec-WebSocket-Version is not 13
	RefusedOrigin                            // Options.Origins
	RefusedProtocol                          // Options.Protocols
	RefusedFull                              // Options.Connections
	RefusedRate                              // AdmissionOptions.Rate
	RefusedAddressRate                       // AdmissionOptions.AddressRate
	RefusedPending                           // gave way at ListenOptions.Pending: closed unheard
	RefusedAddressPending                    // one address had a quarter of ListenOptions.Pending: closed unheard
	RefusedDraining                          // Shutdown was called
	refusals                                 // how many there are
)

var refusalNames = [refusals]string{"bad_request", "version", "origin", "protocol", "full", "overloaded", "address_rate", "pending", "address_pending", "draining"}

// String is the name that logs and metrics use.
func (k RefusalKind) String() string {
	if k < refusals {
		return refusalNames[k]
	}
	return "unknown"
}

// RefusalKinds are all of them, for whoever counts by kind.
func RefusalKinds() []RefusalKind {
	all := make([]RefusalKind, refusals)
	for k := range all {
		all[k] = RefusalKind(k)
	}
	return all
}

// Refusal is the answer to a request that may not become a WebSocket. Nothing
// is written yet: the caller answers in its own format, with Status and Header.
type Refusal struct {
	Status int
	Code   string      // the kind's name
	Detail string      // a sentence for people; nothing of it came from the client
	Header http.Header // what the answer must carry; it always closes the connection
}

func (r *Refusal) Error() string { return fmt.Sprintf("%d %s: %s", r.Status, r.Code, r.Detail) }

// Check says whether r may become a WebSocket: RFC 6455 §4.2.1, then the
// origin, the sub-protocol, the number of connections and Options.Admission,
// where it counts as let in. permessage-deflate, and any other extension, is
// declined by not being mentioned (§9.1), however it is offered.
func (s *Server) Check(r *http.Request) (Handshake, *Refusal) { return s.CheckFor(r, s.opts.Protocols) }

// CheckFor is Check for an address where other sub-protocols are spoken than
// Options.Protocols.
func (s *Server) CheckFor(r *http.Request, protocols []string) (Handshake, *Refusal) {
	refuse := func(k RefusalKind, status int, detail string, header ...string) (Handshake, *Refusal) {
		s.stats.Refused[k].Add(1)
		return Handshake{}, refusal(k, status, detail, header...)
	}
	keys := r.Header["Sec-Websocket-Key"]
	switch {
	case r.Method != http.MethodGet:
		return refuse(RefusedRequest, http.StatusMethodNotAllowed, "a WebSocket handshake is a GET request", "Allow", "GET")
	case r.ProtoMajor != 1 || r.ProtoMinor < 1:
		return refuse(RefusedRequest, http.StatusHTTPVersionNotSupported, "a WebSocket handshake needs HTTP/1.1")
	case !hasToken(r.Header["Upgrade"], "websocket"):
		return refuse(RefusedRequest, http.StatusUpgradeRequired, "this is a WebSocket endpoint: the Upgrade header must name websocket",
			"Upgrade", "websocket", "Connection", "Upgrade")
	case !hasToken(r.Header["Connection"], "upgrade"):
		return refuse(RefusedRequest, http.StatusBadRequest, "the Connection header must name Upgrade")
	case len(r.Header["Sec-Websocket-Version"]) == 0:
		return refuse(RefusedVersion, http.StatusBadRequest, "the Sec-WebSocket-Version header is missing", "Sec-WebSocket-Version", "13")
	case !slices.Equal(r.Header["Sec-Websocket-Version"], []string{"13"}):
		return refuse(RefusedVersion, http.StatusUpgradeRequired, "the Sec-WebSocket-Version header must be 13",
			"Sec-WebSocket-Version", "13", "Upgrade", "websocket", "Connection", "Upgrade")
	case len(keys) != 1 || !isKey(keys[0]):
		return refuse(RefusedRequest, http.StatusBadRequest, "the Sec-WebSocket-Key header must be 16 bytes in base64, once")
	case r.ContentLength != 0 || len(r.TransferEncoding) > 0:
		return refuse(RefusedRequest, http.StatusBadRequest, "a WebSocket handshake has no body")
	case !s.opts.Origins.Allows(r):
		return refuse(RefusedOrigin, http.StatusForbidden, "pages of this origin may not connect")
	}
	hs := Handshake{key: keys[0]}
	if ours := protocols; len(ours) > 0 {
		hs.Protocol = ours[0]
		if theirs := tokens(r.Header["Sec-Websocket-Protocol"]); len(theirs) > 0 {
			i := slices.IndexFunc(ours, func(p string) bool { return slices.Contains(theirs, p) })
			if i < 0 {
				return refuse(RefusedProtocol, http.StatusBadRequest, "none of the offered sub-protocols is spoken here; spoken: "+strings.Join(ours, ", "))
			}
			hs.Protocol, hs.told = ours[i], true
		}
	}
	if refusal := s.admit(r); refusal != nil {
		return Handshake{}, refusal
	}
	return hs, nil
}

// admit says whether there is room for one more connection, and counts it as
// let in, or as refused.
func (s *Server) admit(r *http.Request) *Refusal {
	s.mu.Lock()
	err := s.admits() // counts the refusal
	s.mu.Unlock()
	switch err {
	case ErrFull:
		return refusal(RefusedFull, http.StatusServiceUnavailable, "the server has as many connections as it may have",
			"Retry-After", s.someTime())
	case ErrServerClosed:
		return refusal(RefusedDraining, http.StatusServiceUnavailable, "the server is going away", "Retry-After", s.someTime())
	}
	from, _ := netip.ParseAddrPort(r.RemoteAddr)
	retry, over, ok := s.door.admit(from.Addr(), s.nanos())
	if ok {
		return nil
	}
	s.stats.Refused[over].Add(1)
	detail := "too many connections a second"
	if over == RefusedAddressRate {
		detail += " from this address"
	}
	return refusal(over, http.StatusServiceUnavailable, detail, "Retry-After", RetryAfter(retry))
}

// refusal makes one; the header is given by name and value.
func refusal(k RefusalKind, status int, detail string, header ...string) *Refusal {
	h := http.Header{"Connection": {"close"}} // what follows may be frames, not requests
	for pair := range slices.Chunk(header, 2) {
		h.Add(pair[0], pair[1])
	}
	return &Refusal{Status: status, Code: k.String(), Detail: detail, Header: h}
}

// someTime is a Retry-After where nobody knows when there will be room: random,
// so that those who are refused together do not return together.
func (s *Server) someTime() string { return RetryAfter(time.Second + s.door.random(maxRetry/3)) }

// RetryAfter is d as the header has it: whole seconds, one at least, and not too
// early.
func RetryAfter(d time.Duration) string {
	return strconv.FormatInt(max(1, int64((d+time.Second-1)/time.Second)), 10)
}

// tokens are the elements of a comma-separated list that may be spread over
// several header lines (RFC 9110 §5.6.1).
func tokens(lines []string) []string {
	var all []string
	for _, line := range lines {
		for t := range strings.SplitSeq(line, ",") {
			if t = strings.Trim(t, " \t"); t != "" {
				all = append(all, t)
			}
		}
	}
	return all
}

func hasToken(lines []string, token string) bool {
	return slices.ContainsFunc(tokens(lines), func(t string) bool { return strings.EqualFold(t, token) })
}

// isKey says whether a Sec-WebSocket-Key decodes to 16 bytes (§4.2.1).
func isKey(s string) bool {
	if len(s) != 24 {
		return false
	}
	b, err := base64.StdEncoding.DecodeString(s)
	return err == nil && len(b) == 16
}

// appendAccept appends the Sec-WebSocket-Accept for a Sec-WebSocket-Key (§4.2.2).
func appendAccept(b []byte, key string) []byte {
	sum := sha1.Sum([]byte(key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11")) //nolint:gosec // see the import
	return base64.StdEncoding.AppendEncode(b, sum[:])
}

// takeOver takes the connection of a request from whoever read it. early are the
// bytes that the client sent behind its request. It answers the request if it
// can't.
//
// ws.HTTPUpgrader would do this too, but takes the connection before it looks
// at the request, and then looks at the first line of each header only.
func takeOver(w http.ResponseWriter) (nc net.Conn, early []byte, err error) {
	if x, ok := w.(*expressAnswer); ok {
		return x.takeOver()
	}
	nc, rw, err := http.NewResponseController(w).Hijack()
	if err != nil {
		http.Error(w, "this connection can't be upgraded", http.StatusInternalServerError)
		return nil, nil, fmt.Errorf("transport: hijack: %w", err)
	}
	if n := rw.Reader.Buffered(); n > 0 {
		early = make([]byte, n)
		_, _ = rw.Read(early) // from the buffer: cannot fail
	}
	return nc, early, nil
}

// answer is what switches protocols (RFC 6455 §4.2.2).
func (hs *Handshake) answer() []byte {
	b := make([]byte, 0, 192)
	b = append(b, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: "...)
	b = appendAccept(b, hs.key)
	if hs.told {
		b = append(append(b, "\r\nSec-WebSocket-Protocol: "...), hs.Protocol...)
	}
	return append(b, "\r\n\r\n"...)
}
