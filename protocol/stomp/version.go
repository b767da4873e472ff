package stomp

import "strings"

// Version of the protocol.
type Version uint8

// The versions. The zero value is that of a connection before CONNECT.
const (
	V10 Version = iota + 1
	V11
	V12
)

var versionNames = [...]string{V10: "1.0", V11: "1.1", V12: "1.2"}

func (v Version) String() string {
	if v < V10 || v > V12 {
		return "none"
	}
	return versionNames[v]
}

// Versions is what the server speaks, as ERROR tells it.
const Versions = "1.0,1.1,1.2"

// Subprotocols are the WebSocket sub-protocols of the versions, best first.
var Subprotocols = []string{"v12.stomp", "v11.stomp", "v10.stomp"}

// Negotiate picks the highest version that both sides speak from an
// accept-version header; one that is missing, and so empty, means 1.0
// (§Protocol Negotiation). Zero: there is none.
func Negotiate(accept string) (best Version) {
	if accept == "" {
		return V10
	}
	for a := range strings.SplitSeq(accept, ",") {
		for v := V10; v <= V12; v++ {
			if strings.TrimSpace(a) == versionNames[v] {
				best = max(best, v)
			}
		}
	}
	return best
}
