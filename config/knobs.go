package config

import (
	"iter"
	"strings"
	"time"
)

const (
	kib = 1 << 10
	mib = 1 << 20
	gib = 1 << 30

	year    = 365 * 24 * time.Hour
	instant = 10 * time.Millisecond // the shortest time that is a setting and not a slip
)

// knob is one setting. Its path in the file, in lower snake case, also names
// the variable and the flag.
type knob struct {
	path  string
	field func(*Config) any // *string, *[]string, *int, *float64 or *time.Duration
	kind  *kind
	def   any // of the field's type

	min, max float64                // bounds of a number, in bytes, nanoseconds or units; max 0: not a number
	zero     string                 // what 0 does, where 0 is allowed beside min to max; else ""
	options  []string               // the words allowed, for a choice
	check    func(value any) string // a further rule: "must …", or "" when kept
	secret   bool                   // never shown; its variable has a _FILE variant

	unit string // of a plain number
	does string // what it does, in sentences; the first one is the flag's help
	more string // what raising it (or setting it) buys
	cost string // and what that costs
}

// section is a group of knobs that belong together: a mapping in the file, or
// the top level when name is "".
type section struct {
	name, title, about string
	knobs              []*knob
}

// env is the variable of the knob: session.idle_after is
// ROLLCALL_SESSION_IDLE_AFTER.
func (k *knob) env() string {
	return "ROLLCALL_" + strings.ToUpper(strings.ReplaceAll(k.path, ".", "_"))
}

// flag is the name of the knob's flag, without dashes in front:
// session.idle_after is session.idle-after.
func (k *knob) flag() string { return strings.ReplaceAll(k.path, "_", "-") }

// key is the last part of the path.
func (k *knob) key() string { return k.path[strings.LastIndexByte(k.path, '.')+1:] }

// knobs walks the table in order.
func knobs() iter.Seq[*knob] {
	return func(yield func(*knob) bool) {
		for _, s := range sections {
			for _, k := range s.knobs {
				if !yield(k) {
					return
				}
			}
		}
	}
}

// sections is the table: everything there is to know about each setting, once.
var sections = []*section{
	{
		title: "Serving",
		about: "Where the server listens and who may connect from where. One port serves the page, the API, the metrics and WebSockets.",
		knobs: []*knob{
			{
				path: "listen", field: func(c *Config) any { return &c.Listen },
				kind: text, def: "127.0.0.1:8080", check: checkListen,
				does: "The host:port to listen on. Port 0 picks a free one, which the log line `event=listening` names; no host means every interface.",
				more: "An address beyond loopback lets other machines in.",
				cost: "While `auth.mode` is `none`, whoever reaches the port may join any room under any name: put a proxy or a firewall in front of it.",
			},
			{
				path: "origins", field: func(c *Config) any { return &c.Origins },
				kind: list, def: []string(nil), check: checkOrigins,
				does: "Web pages from these origins may connect, such as `https://chat.example.com` or `https://*.example.com`. An empty list means only the server's own page; `*` means any page. Clients that are not browsers send no origin and are let in.",
				more: "Each entry lets the pages of another site use the server.",
				cost: "With `*` any page that somebody visits can talk to a server which that visitor can reach, one inside a private network included.",
			},
			{
				path: "drain", field: func(c *Config) any { return &c.Drain },
				kind: duration, def: 5 * time.Second, min: 0, max: float64(10 * time.Minute), zero: "all at once",
				does: "At shut-down, clients are told to go one after the other, spread over this time, and to come back as evenly after it.",
				more: "Clients come back as a stream and not as a wave.",
				cost: "Stopping takes that much longer; whatever stops the server (systemd, Kubernetes) must grant this time and a few seconds more.",
			},
		},
	},
	{
		name: "tls", title: "TLS",
		about: "Certificate files for `https` and `wss` on the same port: both or none.",
		knobs: []*knob{
			{
				path: "tls.cert", field: func(c *Config) any { return &c.TLS.Cert },
				kind: text, def: "", check: checkFile,
				does: "The PEM file of the certificate, followed by its intermediates. Empty serves plain TCP.",
				more: "Traffic that nobody in between can read, without a proxy.",
				cost: "Processor time for each handshake and each byte, and some kilobytes more for each connection.",
			},
			{
				path: "tls.key", field: func(c *Config) any { return &c.TLS.Key },
				kind: text, def: "", check: checkFile,
				does: "The PEM file of the certificate's private key.",
				more: "The other half of `tls.cert`.",
				cost: "The file must be readable by the server and by nobody else.",
			},
		},
	},
	{
		name: "api", title: "HTTP API",
		about: "Reading is open to whoever reaches the port. Calls that change things (publish, kick, end a session), and the timeline, which tells addresses of people, need a key, or come from the same machine.",
		knobs: []*knob{
			{
				path: "api.keys", field: func(c *Config) any { return &c.API.Keys },
				kind: list, def: []string(nil), check: checkKeys, secret: true,
				does: "Bearer keys for the calls that change things and for the timeline, each 1 to 256 printable ASCII bytes without spaces; of fewer than 16 the log warns. Without any, only callers on loopback may make such calls.",
				more: "Back ends on other machines can publish and kick. With two keys, one can be replaced without an interruption.",
				cost: "Whoever holds a key can speak in every room and end every session. Prefer the `_FILE` variable: flags and variables show in process listings.",
			},
		},
	},
	{
		name: "auth", title: "Authentication of clients",
		about: "How a client proves who it is.",
		knobs: []*knob{
			{
				path: "auth.mode", field: func(c *Config) any { return &c.Auth.Mode },
				kind: choice, def: "none", options: []string{"none"}, check: checkAuth,
				does: "With `none` a client is whoever it says it is. It is the only mode of this version.",
				more: "Nothing to set up.",
				cost: "Names prove nothing: listen on loopback, or let a proxy decide who comes through.",
			},
		},
	},
	{
		name: "session", title: "Sessions",
		about: "Activity is what a person causes: publish, update, signal, join, leave. Heartbeats never count as activity. The ladder is active, then idle, then disconnected; each step can be off. A step left at its default gives way to the other: `session.idle_after` becomes half of a shorter `session.disconnect_after`, and `session.disconnect_after` twice a longer `session.idle_after`.",
		knobs: []*knob{
			{
				path: "session.idle_after", field: func(c *Config) any { return &c.Session.IdleAfter },
				kind: duration, def: 5 * time.Minute, min: float64(instant), max: float64(year), zero: "off",
				does: "A member without activity for this long is shown as idle to its rooms. It is less than `session.disconnect_after` when both are on.",
				more: "Fewer changes of state, so fewer frames to every member of the room.",
				cost: "People who walked away look present for longer.",
			},
			{
				path: "session.disconnect_after", field: func(c *Config) any { return &c.Session.DisconnectAfter },
				kind: duration, def: 30 * time.Minute, min: float64(instant), max: float64(year), zero: "off",
				does: "A session without activity for this long is ended with close code 4500 and leaves its rooms as `idle`.",
				more: "People who only read are not thrown out.",
				cost: "Forgotten tabs hold their memory, their place in the room and an open file for longer.",
			},
			{
				path: "session.max_age", field: func(c *Config) any { return &c.Session.MaxAge },
				kind: duration, def: time.Duration(0), min: float64(instant), max: float64(year), zero: "off",
				does: "A session this old is ended with close code 4501, active or not, and leaves its rooms as `expired`.",
				more: "Longer visits before a client has to start afresh.",
				cost: "What was true when a session began stays unchecked for longer.",
			},
			{
				path: "session.resume_window", field: func(c *Config) any { return &c.Session.ResumeWindow },
				kind: duration, def: 10 * time.Second, min: float64(instant), max: float64(time.Hour), zero: "off",
				does: "How long a session whose connection was lost (no close frame) waits for it to be resumed. Its members are shown as `lost` meanwhile. Off: they leave at once.",
				more: "Slow networks and long tunnels show no leave.",
				cost: "Whoever is gone for good leaves that much later, and its memory is held for as long; at most `limits.connections` sessions are held at a time, further ones leave at once.",
			},
			{
				path: "session.reload_grace", field: func(c *Config) any { return &c.Session.ReloadGrace },
				kind: duration, def: time.Duration(0), min: float64(instant), max: float64(time.Minute), zero: "off",
				does: "How long a session whose client closed its connection (a page that is reloaded, a closed tab) waits for it to be resumed. Nobody is told meanwhile.",
				more: "A page reload shows no leave and no join; 2s to 5s is enough for that.",
				cost: "Truth: a closed tab is shown as present for that much longer, and so is every client that says goodbye properly.",
			},
			{
				path: "session.per_user", field: func(c *Config) any { return &c.Session.PerUser },
				kind: choice, def: "off", options: []string{"off", "newest", "oldest"},
				does: "Whether a user may have one session at a time only. With `newest` a new session replaces the one there is, which ends with close code 4505 and leaves its rooms as `replaced`. With `oldest` the new one is turned away with 4505, unless the one there is has lost its connection. `off` lets every tab and device in.",
				more: "One place for each user, as games and exams want it.",
				cost: "People with several tabs or devices see all but one of them end. While `auth.mode` is `none`, whoever takes a name can throw its owner out (`newest`) or keep them out (`oldest`). Also one entry in an index for each user.",
			},
		},
	},
	{
		name: "heartbeat", title: "Heartbeats",
		about: "How a dead peer is found. Any byte that arrives proves a peer alive, so only quiet connections are pinged.",
		knobs: []*knob{
			{
				path: "heartbeat.interval", field: func(c *Config) any { return &c.Heartbeat.Interval },
				kind: duration, def: 25 * time.Second, min: float64(instant), max: float64(time.Hour), zero: "off",
				does: "A connection that was quiet for this long is pinged. Off leaves dead peers to TCP, which may take hours to notice.",
				more: "Less traffic and fewer wake-ups of phones: a ping and its answer cost under 200 bytes on the wire and a few system calls.",
				cost: "A dead network is noticed later: after `heartbeat.interval` and `heartbeat.timeout` together. Above 30s to 60s some proxies and mobile networks drop the connection for being quiet.",
			},
			{
				path: "heartbeat.timeout", field: func(c *Config) any { return &c.Heartbeat.Timeout },
				kind: duration, def: 10 * time.Second, min: float64(instant), max: float64(time.Hour),
				does: "A pinged connection that stays silent for this much longer is lost.",
				more: "Slow and stuttering networks are forgiven more.",
				cost: "Members behind a dead network are shown for that much longer.",
			},
		},
	},
	{
		name: "admission", title: "Admission",
		about: "How fast newcomers are let in, so that a storm of them, after a restart say, takes nothing away from those who are inside. A handshake over a rate is refused with 503 before anything is made for it, and told in `Retry-After` when to come back: the refused are spread over time. Page, API and metrics are not concerned.",
		knobs: []*knob{
			{
				path: "admission.rate", field: func(c *Config) any { return &c.Admission.Rate },
				kind: rate, def: 5000.0, min: 0.001, max: 1e6, zero: "no limit", unit: "handshakes per second",
				does: "WebSocket handshakes that are let in, from everywhere together.",
				more: "A crowd is back sooner after a restart.",
				cost: "Each costs 0.1 to 0.3 ms of processor time until it is in its room, and with TLS 0.4 ms more; above what the cores can do, everybody waits, those inside too.",
			},
			{
				path: "admission.address_rate", field: func(c *Config) any { return &c.Admission.AddressRate },
				kind: rate, def: 200.0, min: 0.001, max: 1e6, zero: "no limit", unit: "handshakes per second and address",
				does: "WebSocket handshakes that are let in from one address: one of IPv4, or a /64 network of IPv6. Loopback, private (RFC 1918, 4193), shared (RFC 6598) and link-local addresses have no limit of their own, as they may be a proxy's. Behind a proxy with a public address set 0.",
				more: "Large offices and mobile networks, which show one address for all, are back sooner after a restart.",
				cost: "One machine that reconnects in a loop, by mistake or on purpose, gets that much of `admission.rate`.",
			},
			{
				path: "admission.burst", field: func(c *Config) any { return &c.Admission.Burst },
				kind: duration, def: 4 * time.Second, min: float64(instant), max: float64(10 * time.Minute),
				does: "How much time's worth of either rate may come at once after a calm: with the defaults 20,000 handshakes, and 800 of one address.",
				more: "Larger crowds get in without being refused once.",
				cost: "Work that piles up before anything is refused.",
			},
		},
	},
	{
		name: "limits", title: "Limits",
		about: "What a stranger can make the server hold or do. First the sizes and rates of what one session sends, then the counts, then the WebSocket layer. Every refusal and cut is counted in `/metrics`. A rate is an average over time; short bursts above it pass. Of `limits.message_bytes` and `limits.outbound_bytes`, one left at its default gives way to the other.",
		knobs: []*knob{
			{
				path: "limits.message_bytes", field: func(c *Config) any { return &c.Limits.MessageBytes },
				kind: size, def: 64 * kib, min: kib, max: 64 * mib,
				does: "The longest message a client may send. A longer one closes its connection with 1009 before it is stored.",
				more: "Bigger messages.",
				cost: "Memory: one message being received for each connection, and one copy in the room's history.",
			},
			{
				path: "limits.outbound_bytes", field: func(c *Config) any { return &c.Limits.OutboundBytes },
				kind: size, def: 256 * kib, min: kib, max: gib,
				does: "The most that may wait for one connection which does not read fast enough. Over it, the connection is cut as `slow` (4002). What it asked for itself, such as the snapshots of rooms that it joins, may wait besides, up to 16 times that. At least `limits.message_bytes`.",
				more: "Slow networks survive longer bursts.",
				cost: "Memory: this much for each slow connection, at worst for all of them at once.",
			},
			{
				path: "limits.publish_rate", field: func(c *Config) any { return &c.Limits.PublishRate },
				kind: rate, def: 20.0, min: 0.001, max: 1e6, zero: "no limit", unit: "per second and session",
				does: "Messages that one session may publish. Over it they are refused with `rate_limited`.",
				more: "Room for bots and bridges that speak for many.",
				cost: "One session can cause this many deliveries times the members of the room each second.",
			},
			{
				path: "limits.update_rate", field: func(c *Config) any { return &c.Limits.UpdateRate },
				kind: rate, def: 10.0, min: 0.001, max: 1e6, zero: "no limit", unit: "per second and session",
				does: "Updates of its own data that one session may make. Over it they are refused with `rate_limited`.",
				more: "Livelier status, such as positions.",
				cost: "As for `limits.publish_rate`: each update goes to every member.",
			},
			{
				path: "limits.signal_rate", field: func(c *Config) any { return &c.Limits.SignalRate },
				kind: rate, def: 20.0, min: 0.001, max: 1e6, zero: "no limit", unit: "per second and session",
				does: "Signals, such as typing, that one session may send. Over it they are refused with `rate_limited`.",
				more: "Finer movements.",
				cost: "As for `limits.publish_rate`; but signals are the first to be dropped under pressure.",
			},
			{
				path: "limits.request_rate", field: func(c *Config) any { return &c.Limits.RequestRate },
				kind: rate, def: 50.0, min: 0.001, max: 1e6, zero: "no limit", unit: "per second and session",
				does: "Joins, leaves, and pages of members and history that one session may ask for. Over it they are refused with `rate_limited`.",
				more: "Clients that visit many rooms start faster.",
				cost: "Each join and each page is an answer many times the size of its question.",
			},
			{
				path: "limits.error_rate", field: func(c *Config) any { return &c.Limits.ErrorRate },
				kind: rate, def: 10.0, min: 0.001, max: 1e6, zero: "no limit", unit: "per second and session",
				does: "Refused requests that one session may cause, with a burst of ten times as many. Over it, the connection is closed as a flood (4506).",
				more: "Patience with faulty clients.",
				cost: "Work spent on answers that nobody reads.",
			},
			{
				path: "limits.connections", field: func(c *Config) any { return &c.Limits.Connections },
				kind: count, def: 0, min: 1, max: 10_000_000, zero: "nine tenths of the open files allowed", unit: "connections",
				does: "Connections at one time. Further ones are refused with 503 until one has ended.",
				more: "More people at once.",
				cost: "Memory for each, and one open file each: the process may open as many files as `ulimit -n` (`LimitNOFILE=` in a systemd unit) says, and needs some of them for itself and its HTTP callers. A number above that limit fails in the kernel, where nobody is told why.",
			},
			{
				path: "limits.pending", field: func(c *Config) any { return &c.Limits.Pending },
				kind: count, def: 8192, min: 1, max: 1_000_000, unit: "connections",
				does: "Connections at one time that are not WebSockets: handshakes and calls under way, and connections that HTTP callers keep. There are never more than WebSockets leave open files for. When there is one more, it takes the place of the one that has been idle for longest, or else of the oldest whose request has not come for a second; one address, unless it may be a proxy's, may have a quarter of them under way.",
				more: "More room for slow networks while somebody floods the server with handshakes that never end.",
				cost: "An open file and some 20 KB of memory each.",
			},
			{
				path: "limits.rooms", field: func(c *Config) any { return &c.Limits.Rooms },
				kind: count, def: 100_000, min: 1, max: 10_000_000, unit: "rooms",
				does: "Rooms at one time, those that linger empty included. A join that would make one more is refused.",
				more: "More rooms at once.",
				cost: "Each room holds its history: up to `room.history_bytes`, until `room.linger` after its last member.",
			},
			{
				path: "limits.room_members", field: func(c *Config) any { return &c.Limits.RoomMembers },
				kind: count, def: 0, min: 1, max: 10_000_000, zero: "no limit", unit: "members of one room",
				does: "Members of one room at one time. Further joins are refused with `room_full`.",
				more: "Bigger rooms.",
				cost: "Every event of a room is written to every member, and every snapshot lists them.",
			},
			{
				path: "limits.room_observers", field: func(c *Config) any { return &c.Limits.RoomObservers },
				kind: count, def: 100, min: 1, max: 10_000_000, zero: "nobody may observe", unit: "observers of one room",
				does: "Sessions that may watch one room at one time without being members of it. Further ones are refused with `room_full`, with 0 all of them with `forbidden`. Members do not see who watches, only how many (`count.observers`).",
				more: "Room for moderators, recorders and dashboards.",
				cost: "Like a member, an observer gets every event. While `auth.mode` is `none` anybody may be one; but then anybody may also read rooms by the API, where nobody is counted.",
			},
			{
				path: "limits.room_queue", field: func(c *Config) any { return &c.Limits.RoomQueue },
				kind: count, def: 20_000, min: 1, max: 10_000_000, zero: "no limit", unit: "joins of one room",
				does: "Joins that wait because the member lists of those before them are still being sent. Who comes on top is sent away with 4004 and told when to come back, or, if it is in other rooms, refused with `unavailable`.",
				more: "Larger storms into one room are served in their order.",
				cost: "Those at the end wait for longer than they may have patience, and hold their memory meanwhile.",
			},
			{
				path: "limits.rooms_per_session", field: func(c *Config) any { return &c.Limits.RoomsPerSession },
				kind: count, def: 100, min: 1, max: 100_000, unit: "rooms of one session",
				does: "Rooms that one session may be in at one time. Further joins are refused.",
				more: "Clients that watch many rooms over one connection.",
				cost: "About a kilobyte for each room of each session, and as many leaves when it goes.",
			},
			{
				path: "limits.room_bans", field: func(c *Config) any { return &c.Limits.RoomBans },
				kind: count, def: 10_000, min: 1, max: 1_000_000, unit: "bans of one room",
				does: "Bans that may be in force at one time in one room, and likewise for the whole server. A further one is refused with 409; those that are over make room.",
				more: "Longer lists.",
				cost: "About 250 bytes for each for as long as it lasts, and twice that while the room exists.",
			},
			{
				path: "limits.bans", field: func(c *Config) any { return &c.Limits.Bans },
				kind: count, def: 100_000, min: 1, max: 10_000_000, unit: "bans",
				does: "Bans that may be in force at one time, those of all rooms and of the server together.",
				more: "Bans in more rooms.",
				cost: "As for `limits.room_bans`.",
			},
			{
				path: "limits.fragments", field: func(c *Config) any { return &c.Limits.Fragments },
				kind: count, def: 1024, min: 1, max: 1 << 20, unit: "frames of one message",
				does: "Frames that one message may come in. More of them close the connection.",
				more: "Clients that stream a message in small pieces.",
				cost: "Processor time: a message in tiny pieces costs many times one in a single frame.",
			},
			{
				path: "limits.control_rate", field: func(c *Config) any { return &c.Limits.ControlRate },
				kind: rate, def: 50.0, min: 0.001, max: 1e6, zero: "no limit", unit: "per second and connection",
				does: "Control frames (ping, pong) that one connection may send. Over it, the connection is closed as a flood (4506).",
				more: "Clients that ping very often.",
				cost: "Each ping is answered: a wake-up and a few system calls.",
			},
			{
				path: "limits.handshake_bytes", field: func(c *Config) any { return &c.Limits.HandshakeBytes },
				kind: size, def: 8 * kib, min: kib, max: mib,
				does: "The longest HTTP request line and headers together, of a WebSocket handshake too.",
				more: "Longer tokens and cookies.",
				cost: "Memory that a stranger can hold with each connection until `limits.handshake_timeout`.",
			},
			{
				path: "limits.handshake_timeout", field: func(c *Config) any { return &c.Limits.HandshakeTimeout },
				kind: duration, def: 5 * time.Second, min: float64(instant), max: float64(time.Minute),
				does: "A new connection has this long to finish TLS and its request headers.",
				more: "Very slow networks get in.",
				cost: "Strangers who connect and say nothing hold an open file for longer.",
			},
		},
	},
	{
		name: "presence", title: "Presence",
		about: "How a room tells who comes, goes and changes, by its size: one by one, collected, or as a number (`full`, `batch` and `count`, see [protocol.md](protocol.md#7-big-rooms)). A room returns to the smaller mode at four fifths of a threshold.",
		knobs: []*knob{
			{
				path: "presence.full_max", field: func(c *Config) any { return &c.Presence.FullMax },
				kind: count, def: 200, min: 1, max: 10_000_000, zero: "no room is", unit: "members of one room",
				does: "Up to this many members a room is told every change by itself, at once. Above it, and in a storm of more changes than this within one `presence.interval`, changes are collected.",
				more: "Bigger rooms show each change the moment it happens.",
				cost: "When everybody comes at once, frames grow with the square of this.",
			},
			{
				path: "presence.list_max", field: func(c *Config) any { return &c.Presence.ListMax },
				kind: count, def: 5000, min: 1, max: 10_000_000, zero: "no room has", unit: "members of one room",
				does: "Up to this many members everybody in a room knows everybody. Above it members are told their number, at most once a second, and ask for the list page by page.",
				more: "Bigger rooms have a complete list of members.",
				cost: "Who joins gets the whole list, about 150 bytes and its data for each member: when a room of this size comes at once, the server sends half of that times the square of this.",
			},
			{
				path: "presence.interval", field: func(c *Config) any { return &c.Presence.Interval },
				kind: duration, def: 250 * time.Millisecond, min: float64(instant), max: float64(time.Minute), zero: "never collected: every room tells every change by itself",
				does: "For how long a room above `presence.full_max` collects changes before it tells them. A change after a quiet interval is told at once, and messages never wait.",
				more: "Fewer frames for rooms where many come and go.",
				cost: "Changes in big rooms are seen this much later, and a join there is answered up to this much later.",
			},
		},
	},
	{
		name: "room", title: "Rooms",
		about: "What a room keeps of its messages and how long it lives. The tighter of `room.history` and `room.history_bytes` holds.",
		knobs: []*knob{
			{
				path: "room.linger", field: func(c *Config) any { return &c.Room.Linger },
				kind: duration, def: 10 * time.Minute, min: float64(instant), max: float64(year), zero: "ends when its last member leaves",
				does: "How long an empty room keeps its history, its epoch and its count of offsets.",
				more: "Whoever returns within it finds the conversation and misses nothing.",
				cost: "Memory: every empty room keeps its history for this long and counts towards `limits.rooms`.",
			},
			{
				path: "room.history", field: func(c *Config) any { return &c.Room.History },
				kind: count, def: 100, min: 1, max: 100_000, zero: "none", unit: "messages",
				does: "The newest messages that a room keeps, for those who join, page back, or repeat a `key`.",
				more: "A longer memory for newcomers and for clients that were away.",
				cost: "Memory for each room, the small ones too.",
			},
			{
				path: "room.history_bytes", field: func(c *Config) any { return &c.Room.HistoryBytes },
				kind: size, def: mib, min: kib, max: gib, zero: "none",
				does: "The most bytes of messages that a room keeps. A single message longer than this is delivered and not kept.",
				more: "Long messages push fewer others out.",
				cost: "Memory for each room, at worst this times `limits.rooms`.",
			},
			{
				path: "room.timeline", field: func(c *Config) any { return &c.Room.Timeline },
				kind: count, def: 1000, min: 16, max: 100_000, zero: "nothing is recorded", unit: "records of users who are gone",
				does: "How much a room remembers of users who left it: when they came, from which address, what became of them and why. Up to 16 records of each user who is there come on top. `rollcall why` and the API's `timeline` tell it.",
				more: "A longer answer to why somebody is no longer shown.",
				cost: "Memory, some 200 bytes for each user who left, until the room ends; and addresses of people are kept for as long.",
			},
			{
				path: "room.audit", field: func(c *Config) any { return &c.Room.Audit },
				kind: duration, def: time.Minute, min: float64(instant), max: float64(24 * time.Hour), zero: "off",
				does: "How often each room looks for ghosts: members without a live session. There should be none; one found is counted, logged and removed.",
				more: "Less work: an audit walks every member of the room.",
				cost: "Should there be a ghost, it stays for longer.",
			},
		},
	},
	{
		name: "transport", title: "Sockets",
		about: "How connections are served. The defaults are right for nearly everybody.",
		knobs: []*knob{
			{
				path: "transport.mode", field: func(c *Config) any { return &c.Transport.Mode },
				kind: choice, def: "auto", options: []string{"auto", "epoll", "goroutine"},
				does: "`epoll` serves all connections from a few event loops (Linux only), `goroutine` gives each connection a goroutine of its own (every system). `auto` takes `epoll` where there is one.",
				more: "`epoll` saves kilobytes for each idle connection.",
				cost: "`goroutine` is simpler to profile and to trace.",
			},
			{
				path: "transport.loops", field: func(c *Config) any { return &c.Transport.Loops },
				kind: count, def: 0, min: 1, max: 1024, zero: "one per core", unit: "event loops",
				does: "Event loops in `epoll` mode.",
				more: "More loops than cores gain nothing; fewer leave cores to other programs.",
				cost: "Each loop has its own read buffer and kernel thread.",
			},
			{
				path: "transport.send_buffer", field: func(c *Config) any { return &c.Transport.SendBuffer },
				kind: size, def: 32 * kib, min: 4 * kib, max: 16 * mib,
				does: "The kernel's send buffer (`SO_SNDBUF`) of each connection; Linux doubles the figure for its own use.",
				more: "Throughput to one fast and distant client.",
				cost: "Kernel memory for each connection that does not read, and a slow client is noticed later: this comes before `limits.outbound_bytes` begins to fill.",
			},
			{
				path: "transport.user_timeout", field: func(c *Config) any { return &c.Transport.UserTimeout },
				kind: duration, def: 30 * time.Second, min: float64(instant), max: float64(24 * time.Hour), zero: "as the kernel does",
				does: "Sent data that stays unacknowledged this long loses the connection (`TCP_USER_TIMEOUT`). Left to the kernel it takes about 15 minutes.",
				more: "Networks that vanish and come back keep their connections.",
				cost: "Dead peers with data on the way are held for longer.",
			},
			{
				path: "transport.close_timeout", field: func(c *Config) any { return &c.Transport.CloseTimeout },
				kind: duration, def: 2 * time.Second, min: float64(instant), max: float64(time.Minute),
				does: "After a close frame was sent, the peer has this long to answer it and to end the connection.",
				more: "Slow peers get the close code and its reason.",
				cost: "Peers that never answer hold an open file for this long.",
			},
		},
	},
	{
		name: "stomp", title: "STOMP",
		about: "For front ends that speak STOMP. See [stomp.md](stomp.md).",
		knobs: []*knob{
			{
				path: "stomp.routes", field: func(c *Config) any { return &c.STOMP.Routes },
				kind: list, def: []string(nil), check: checkRoutes,
				does: "Where messages go that clients send to destinations of their own: with `/app/hello=/topic/greetings` a `SEND` to `/app/hello` goes to the room `greetings`. Where both sides end in a slash, as in `/app/chat/=/topic/`, it is about all that lies below; the longest such route counts, and one of the whole destination before it. At most 1,024.",
				more: "Front ends written for a broker whose application maps one to the other (Spring's `@MessageMapping` and `@SendTo`) need no change.",
				cost: "A room of the name that is routed away, such as `hello`, can't be sent to as `/app/hello` any more, but as `/topic/hello`.",
			},
		},
	},
	{
		name: "sockjs", title: "SockJS",
		about: "For front ends that use sockjs-client: a WebSocket where one gets through, and plain HTTP requests where none does. See [sockjs.md](sockjs.md).",
		knobs: []*knob{
			{
				path: "sockjs.prefixes", field: func(c *Config) any { return &c.SockJS.Prefixes },
				kind: list, def: []string{"/sockjs"}, check: checkPrefixes,
				does: "The paths that SockJS is served below, such as `/ws-endpoint`. An empty list serves none.",
				more: "Front ends written for another server keep the address that they know.",
				cost: "Each entry takes its path, and all below it, from what else the server has.",
			},
			{
				path: "sockjs.heartbeat", field: func(c *Config) any { return &c.SockJS.Heartbeat },
				kind: duration, def: 25 * time.Second, min: float64(instant), max: float64(time.Hour),
				does: "A response that waits for messages gets a heartbeat frame when it was quiet for this long; it ends a poll. WebSockets have `heartbeat.interval`.",
				more: "Fewer requests of clients that poll.",
				cost: "Proxies cut requests that are quiet for longer than they like, often 30 or 60 seconds; a client whose network vanished is noticed later.",
			},
			{
				path: "sockjs.disconnect_delay", field: func(c *Config) any { return &c.SockJS.DisconnectDelay },
				kind: duration, def: 5 * time.Second, min: float64(instant), max: float64(time.Hour),
				does: "A session that is made of HTTP requests is lost when no request waited for messages for this long; then `session.resume_window` begins.",
				more: "Slow networks, and busy pages, have more time between two requests.",
				cost: "A closed tab is noticed that much later, where it had no request under way.",
			},
			{
				path: "sockjs.first_frame", field: func(c *Config) any { return &c.SockJS.FirstFrame },
				kind: duration, def: 10 * time.Second, min: float64(instant), max: float64(time.Hour),
				does: "A client must have sent its first frame, which says what protocol it speaks, within this time.",
				more: "Slow networks get in: by polling it takes three round trips.",
				cost: "Strangers that say nothing hold their place for longer.",
			},
			{
				path: "sockjs.response_limit", field: func(c *Config) any { return &c.SockJS.ResponseLimit },
				kind: size, def: 128 * kib, min: 4 * kib, max: 16 * mib,
				does: "A streaming response ends after so many bytes, and the client asks for the next.",
				more: "Fewer requests.",
				cost: "Browsers keep the whole of a response in memory while it grows.",
			},
			{
				path: "sockjs.client_url", field: func(c *Config) any { return &c.SockJS.ClientURL },
				kind: text, def: "", check: checkClientURL,
				does: "The script that the iframe page loads: a path that begins with `/`, or an http(s) URL of a copy of sockjs-client. Empty is a script of our own, which serves all versions of sockjs-client.",
				more: "A proxy may serve the paths under other names than the server knows.",
				cost: "A copy of sockjs-client serves pages of just its own version, and whoever can change it acts for your origin.",
			},
			{
				path: "sockjs.websocket", field: func(c *Config) any { return &c.SockJS.WebSocket },
				kind: choice, def: "on", options: []string{"on", "off"},
				does: "Whether SockJS clients are offered a WebSocket.",
				more: "`on` costs less per message and connection than anything else.",
				cost: "Behind a proxy that swallows WebSockets clients lose time before they fall back: `off` spares them that.",
			},
			{
				path: "sockjs.cookie", field: func(c *Config) any { return &c.SockJS.Cookie },
				kind: choice, def: "off", options: []string{"on", "off"},
				does: "Whether the cookie `JSESSIONID` is set, which some load balancers go by to send all requests of a session to one server.",
				more: "Sticky sessions without looking at the path.",
				cost: "A cookie in each request, which some laws want people to be asked about.",
			},
		},
	},
	{
		name: "log", title: "Logs",
		about: "One line for each thing that happened, on standard error. Nothing that people write to each other is ever logged.",
		knobs: []*knob{
			{
				path: "log.format", field: func(c *Config) any { return &c.Log.Format },
				kind: choice, def: "auto", options: []string{"auto", "json", "text"},
				does: "`json` for programs, `text` for people. `auto` is `text` on a terminal and `json` elsewhere.",
				more: "`json` lines have stable field names.",
				cost: "`text` is made to be read: its layout may change.",
			},
			{
				path: "log.level", field: func(c *Config) any { return &c.Log.Level },
				kind: choice, def: "info", options: []string{"debug", "info", "warn", "error"},
				does: "The least important level that is still written.",
				more: "`debug` shows single connections and requests.",
				cost: "`debug` costs more than the requests themselves; `warn` and `error` hide who decided what, and why.",
			},
		},
	},
}
