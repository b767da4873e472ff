package app

import (
	"net/http"
	"runtime"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"rollcall/actors"
	"rollcall/protocol"
	"rollcall/transport"
	"rollcall/transport/sockjs"
)

// measures are the server's metrics. Counts live in the packages that count;
// here they get their names, all labels from closed sets.
type measures struct {
	members prometheus.Histogram
	frames  prometheus.Histogram
	latency prometheus.Histogram
	turn    prometheus.Histogram
}

func newMeasures() *measures {
	h := func(name, help string, buckets []float64) prometheus.Histogram {
		return prometheus.NewHistogram(prometheus.HistogramOpts{Namespace: "rollcall", Name: name, Help: help, Buckets: buckets})
	}
	return &measures{
		members: h("fanout_members", "Members that one pass of a room wrote to.", prometheus.ExponentialBuckets(1, 4, 9)),
		frames:  h("fanout_batch_frames", "Frames that one pass of a room wrote to each member.", prometheus.ExponentialBuckets(1, 2, 11)),
		latency: h("fanout_seconds", "Time from a room's event to the end of the pass that wrote it.", prometheus.ExponentialBuckets(16e-6, 4, 10)),
		turn:    h("loop_turn_seconds", "Time that one turn of an event loop took.", prometheus.ExponentialBuckets(4e-6, 4, 10)),
	}
}

func (m *measures) observeFanout(members, frames int, latency time.Duration) {
	m.members.Observe(float64(members))
	m.frames.Observe(float64(frames))
	m.latency.Observe(latency.Seconds())
}

func (m *measures) observeTurn(d time.Duration) { m.turn.Observe(d.Seconds()) }

// handler serves the metrics of a.
func (m *measures) handler(a *App) http.Handler {
	r := prometheus.NewRegistry()
	r.MustRegister(m.members, m.frames, m.latency, m.turn,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		newCounts(a.wire.Stats(), a.sockjs.stats, a.system.Stats(), &a.stomps))
	return promhttp.HandlerFor(r, promhttp.HandlerOpts{})
}

// counts reads the counters of the other packages when it is asked to.
type counts struct{ reads []reading }

// reading is one metric: its description, and how to read its values.
type reading struct {
	desc  *prometheus.Desc
	kind  prometheus.ValueType
	label []string // values of its one label; nil: it has none
	value func(i int) float64
}

func newCounts(w *transport.Stats, k *sockjs.Stats, s *actors.Stats, st *stompStats) *counts {
	c := &counts{}
	add := func(kind prometheus.ValueType, name, help, label string, values []string, value func(i int) float64) {
		var labels []string
		if label != "" {
			labels = []string{label}
		}
		c.reads = append(c.reads, reading{
			prometheus.NewDesc("rollcall_"+name, help, labels, nil), kind, values, value,
		})
	}
	gauge := func(name, help string, v func() int64) {
		add(prometheus.GaugeValue, name, help, "", nil, func(int) float64 { return float64(v()) })
	}
	counter := func(name, help string, v func() uint64) {
		add(prometheus.CounterValue, name, help, "", nil, func(int) float64 { return float64(v()) })
	}
	wire := func(name, help string, v interface{ Load() int64 }) {
		counter(name, help, func() uint64 { return uint64(v.Load()) })
	}

	kinds := []string{transport.Plain: "websocket", transport.TLS: "websocket_tls", 2: "sockjs_http"}
	open := []interface{ Load() int64 }{&w.Open[0], &w.Open[1], &k.Open}
	opened := []interface{ Load() int64 }{&w.Opened[0], &w.Opened[1], &k.Opened}
	add(prometheus.GaugeValue, "connections", "Connections that are open.", "transport", kinds, func(i int) float64 {
		return float64(open[i].Load())
	})
	add(prometheus.CounterValue, "connections_opened_total", "Connections opened.", "transport", kinds, func(i int) float64 {
		return float64(opened[i].Load())
	})
	causes := transport.Causes()
	add(prometheus.CounterValue, "connections_closed_total", "Connections ended, by what ended them.", "cause", texts(causes), func(i int) float64 {
		return float64(w.Ended[causes[i]].Load() + k.Ended[causes[i]].Load())
	})
	breaches := transport.Breaches()
	add(prometheus.CounterValue, "violations_total", "Broken rules of the WebSocket layer.", "rule", texts(breaches), func(i int) float64 {
		return float64(w.Violations[breaches[i]].Load())
	})
	refusals := transport.RefusalKinds()
	add(prometheus.CounterValue, "handshakes_refused_total", "Handshakes refused.", "reason", append(texts(refusals), string(protocol.ErrBanned)), func(i int) float64 {
		if i == len(refusals) {
			return float64(s.Barred.Load())
		}
		return float64(w.Refused[refusals[i]].Load())
	})
	gauge("pending_connections", "Connections that are open and not WebSockets.", w.Pending.Load)
	wire("pending_idle_cut_total", "Kept HTTP connections that were closed to make room for others.", &w.IdleCut)
	wire("accept_failures_total", "Connections that could not be accepted: out of open files or memory.", &w.AcceptFailures)
	wire("admission_forgotten_total", "Addresses whose rate was forgotten too early: more came than the table holds.", &w.Forgotten)
	wire("inbound_bytes_total", "Bytes of frames read.", &w.BytesIn)
	wire("inbound_frames_total", "Text and binary messages read.", &w.Messages)
	wire("outbound_bytes_total", "Bytes written to sockets.", &w.BytesOut)
	wire("outbound_writes_total", "Writes to sockets.", &w.Writes)
	wire("outbound_blocked_total", "Writes that a socket did not take whole.", &w.Blocked)
	wire("outbound_dropped_frames_total", "Signals dropped for connections with a backlog.", &w.DroppedFrames)
	wire("heartbeats_total", "Pings sent to quiet connections.", &w.Heartbeats)
	wire("close_timeouts_total", "Close handshakes that the peer did not finish in time.", &w.CloseTimeouts)

	kindsOfRequest := sockjs.RefusalKinds()
	add(prometheus.CounterValue, "sockjs_requests_refused_total", "Requests of SockJS refused.", "reason", texts(kindsOfRequest), func(i int) float64 {
		return float64(k.Refused[kindsOfRequest[i]].Load())
	})
	wire("sockjs_inbound_bytes_total", "Bytes of requests that brought messages of SockJS sessions.", &k.BytesIn)
	wire("sockjs_inbound_messages_total", "Messages in them.", &k.Messages)
	wire("sockjs_outbound_bytes_total", "Bytes of frames in the responses of SockJS sessions.", &k.BytesOut)
	wire("sockjs_dropped_messages_total", "Signals dropped for SockJS sessions with a backlog.", &k.Dropped)

	gauge("rooms", "Rooms that exist.", s.Rooms.Load)
	add(prometheus.GaugeValue, "rooms_by_mode", "Rooms that exist, by how they tell of presence.", "mode", actors.RoomModes[:], func(i int) float64 {
		return float64(s.RoomsByMode[i].Load())
	})
	gauge("members", "Members of all rooms.", s.Members.Load)
	gauge("observers", "Observers of all rooms.", s.Observers.Load)
	gauge("sessions_away", "Sessions that are held without a connection, until they resume or their time is over.", s.Away.Load)
	counter("resumes_total", "Sessions that took another connection.", s.Resumes.Load)
	counter("resumes_refused_total", "Resume tokens that were forged, used, or too late: those clients got new sessions.", s.ResumesRefused.Load)
	counter("holds_refused_total", "Sessions that left at once although they might have resumed: too many were away.", s.HoldsRefused.Load)
	counter("joins_total", "Joins.", s.Joins.Load)
	add(prometheus.CounterValue, "leaves_total", "Leaves, by reason.", "reason", words(protocol.Reasons), func(i int) float64 {
		return float64(s.Leaves[i].Load())
	})
	add(prometheus.CounterValue, "presence_frames_total", "Events of big or stormy rooms, each counted once per room.", "type", actors.PresenceTypes[:], func(i int) float64 {
		return float64(s.PresenceFrames[i].Load())
	})
	counter("presence_collected_total", "Joins, leaves and updates that were told together in frames of type presence.", s.Collected.Load)
	add(prometheus.CounterValue, "commands_total", "Commands of clients, by type.", "type", actors.CommandTypes[:], func(i int) float64 {
		return float64(s.Commands[i].Load())
	})
	add(prometheus.CounterValue, "requests_refused_total", "Requests refused, by error code.", "code", words(protocol.ErrorCodes), func(i int) float64 {
		return float64(s.Refusals[i].Load())
	})
	counter("bans_total", "Bans made, of rooms and of the server.", s.Bans.Load)
	counter("joins_shed_total", "Joins turned away because too many waited for the same room.", s.JoinsShed.Load)
	counter("messages_published_total", "Messages published to rooms.", s.Messages.Load)
	counter("messages_sent_total", "Frames that rooms handed to connections.", s.Deliveries.Load)
	gauge("stomp_sessions", "Sessions of STOMP clients.", st.Sessions.Load)
	counter("stomp_errors_total", "STOMP conversations that ended with an ERROR.", st.Errors.Load)
	counter("stomp_silent_total", "STOMP connections that sent no CONNECT in time.", st.Silent.Load)
	counter("queue_messages_total", "Messages to queues of users, for each subscription.", st.Queued.Load)
	counter("queue_unheard_total", "Messages to queues of users that nobody was subscribed to.", st.Unheard.Load)
	counter("signals_dropped_total", "Signals dropped by a room that could not keep up.", s.SignalsDropped.Load)
	add(prometheus.CounterValue, "actor_failures_total", "Actors that panicked, by kind.", "kind", actors.ActorKinds[:], func(i int) float64 {
		return float64(s.Failures[i].Load())
	})
	counter("ghosts_total", "Ghosts that the audit found and repaired.", s.Ghosts.Load)
	add(prometheus.GaugeValue, "build_info", "Always 1; the label says what runs.", "version", []string{Version + " " + runtime.Version()}, func(int) float64 { return 1 })
	return c
}

// Describe implements prometheus.Collector.
func (c *counts) Describe(out chan<- *prometheus.Desc) {
	for _, r := range c.reads {
		out <- r.desc
	}
}

// Collect implements prometheus.Collector.
func (c *counts) Collect(out chan<- prometheus.Metric) {
	for _, r := range c.reads {
		if r.label == nil {
			out <- prometheus.MustNewConstMetric(r.desc, r.kind, r.value(0))
			continue
		}
		for i, l := range r.label {
			out <- prometheus.MustNewConstMetric(r.desc, r.kind, r.value(i), l)
		}
	}
}

func texts[T interface{ String() string }](vs []T) []string {
	ts := make([]string, len(vs))
	for i, v := range vs {
		ts[i] = v.String()
	}
	return ts
}

func words[T ~string](vs []T) []string {
	ws := make([]string, len(vs))
	for i, v := range vs {
		ws[i] = string(v)
	}
	return ws
}
