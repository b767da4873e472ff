// Package config holds every setting of a Rollcall server and reads them from
// a YAML file, the environment and the command line.
//
// The table in knobs.go says everything there is to know about each setting:
// its default, unit, bounds, and what it buys and costs. The file format, the
// variables, the flags, `rollcall config print`, the JSON Schema and
// docs/configuration.md all follow from it.
package config

import (
	"encoding/json"
	"fmt"
	"time"
)

// Config is one complete configuration. Zero durations, rates and counts mean
// "off" or "no limit" where knobs.go says so. Sizes are in bytes.
type Config struct {
	Listen  string        // host:port; port 0 picks one
	TLS     TLS           // the zero value is plain TCP
	Origins []string      // allowed browser origins, with globs; empty: same origin only; "*": any
	Drain   time.Duration // over which clients are told to go at shut-down

	API       API
	Auth      Auth
	Session   Session
	Heartbeat Heartbeat
	Admission Admission
	Limits    Limits
	Presence  Presence
	Room      Room
	Transport Transport
	STOMP     STOMP
	SockJS    SockJS
	Log       Log
}

// TLS names the PEM files of the server's certificate: both or none.
type TLS struct{ Cert, Key string }

// API says who may call the parts of the HTTP API that change things.
type API struct {
	Keys []string // bearer keys, secret; empty: only callers on loopback
}

// Format prints the number of keys in place of the keys, whatever the verb, so
// that a Config in a log line or a failed test gives nothing away.
func (a API) Format(f fmt.State, _ rune) { _, _ = fmt.Fprintf(f, "{Keys:%d hidden}", len(a.Keys)) }

// MarshalJSON hides the keys as Format does.
func (a API) MarshalJSON() ([]byte, error) { return json.Marshal(fmt.Sprint(a)) }

// Auth says how clients prove who they are.
type Auth struct {
	Mode string // "none"
}

// Session is the life of a session: the idle ladder, which looks at activity
// alone, its greatest age, and how long a lost connection may return.
// 0 turns each off. IdleAfter is less than DisconnectAfter when both are on.
type Session struct {
	IdleAfter, DisconnectAfter, MaxAge, ResumeWindow, ReloadGrace time.Duration

	PerUser string // "off", "newest" or "oldest": how many sessions of a user there may be
}

// Heartbeat finds dead peers: a connection quiet for Interval is pinged, and is
// lost after a further Timeout without a byte. Interval 0 turns both off.
type Heartbeat struct{ Interval, Timeout time.Duration }

// Admission bounds how many WebSocket handshakes are let in. Rates are per
// second; 0: no limit.
type Admission struct {
	Rate, AddressRate float64
	Burst             time.Duration // so much time's worth of either may come at once
}

// Limits bounds what clients can make the server hold or do.
type Limits struct {
	// Bytes. OutboundBytes, per connection, is at least MessageBytes.
	MessageBytes, OutboundBytes int

	// Per second and session; 0: no limit.
	PublishRate, UpdateRate, SignalRate, RequestRate float64
	ErrorRate                                        float64 // refused requests; over its burst, ten seconds' worth, the connection is closed with 4506

	// Counts. Connections 0: nine tenths of the open files allowed. RoomMembers
	// and RoomQueue 0: no limit. RoomObservers 0: nobody may observe.
	Connections, Pending, Rooms, RoomMembers, RoomObservers, RoomQueue, RoomsPerSession int
	RoomBans, Bans                                                                      int // of one room and likewise of the server; of all together

	// The WebSocket layer.
	Fragments        int     // frames of one message
	ControlRate      float64 // control frames per second and connection; 0: no limit
	HandshakeBytes   int
	HandshakeTimeout time.Duration
}

// Presence is how rooms tell who comes and goes, by their size.
type Presence struct {
	FullMax  int           // most members of a room that tells each change by itself; 0: none does
	ListMax  int           // most members of a room that tells who its members are; 0: none does
	Interval time.Duration // changes are collected for that long; 0: never, every room tells each by itself
}

// Room is what a room keeps: how long after its last member, and how much.
type Room struct {
	Linger       time.Duration // 0: ends when its last member leaves
	History      int           // messages; 0: none
	HistoryBytes int
	Timeline     int           // records of users who are gone; 0: nothing is recorded of anybody
	Audit        time.Duration // between two audits for ghosts; 0: off
}

// Transport tunes the sockets.
type Transport struct {
	Mode         string        // "auto", "epoll" or "goroutine"
	Loops        int           // 0: one per core
	SendBuffer   int           // SO_SNDBUF, bytes
	UserTimeout  time.Duration // TCP_USER_TIMEOUT; 0: the kernel's own
	CloseTimeout time.Duration // for the peer to finish the close handshake
}

// STOMP is what front ends find that speak STOMP.
type STOMP struct {
	Routes []string // of SENDs, each from=to; empty: none
}

// SockJS is how front ends connect that speak SockJS.
type SockJS struct {
	Prefixes        []string      // paths of services; empty: none
	Heartbeat       time.Duration // between heartbeat frames of a quiet response
	DisconnectDelay time.Duration // that a session lives without a request that waits
	FirstFrame      time.Duration // for the frame that says which protocol it is
	ResponseLimit   int           // bytes of a streaming response
	ClientURL       string        // of the script in the iframe page; "": our own
	WebSocket       string        // "on" or "off"
	Cookie          string        // JSESSIONID: "on" or "off"
}

// Log says how log lines look and which are written.
type Log struct {
	Format string // "auto", "json" or "text"
	Level  string // "debug", "info", "warn" or "error"
}

// Default returns a configuration that runs, on loopback, with every knob at the
// default that knobs.go gives it. The caller owns it.
func Default() Config {
	var c Config
	for k := range knobs() {
		k.set(&c, k.def)
	}
	return c
}
