// Package app builds the server out of its parts, starts it, and takes it
// down again, step by named step. It is the only package that knows them all.
package app

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log"
	"net"
	"net/http"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"rollcall/actors"
	"rollcall/config"
	"rollcall/engine/local"
	"rollcall/internal/logs"
	"rollcall/presence"
	"rollcall/protocol"
	"rollcall/protocol/stomp"
	"rollcall/transport"
	"rollcall/web"
)

// App is one server. New binds its port, Run serves until told.
type App struct {
	cfg     config.Config
	log     logs.Log
	origins transport.Origins

	listener net.Listener
	http     *http.Server
	wire     *transport.Server
	system   *actors.System
	sockjs   fronts
	metrics  http.Handler
	overload *overload
	page     http.Handler

	routes *stomp.Routes
	queues queues
	stomps stompStats

	draining atomic.Bool
	leaving  atomic.Pointer[departure] // not nil once draining
	steps    steps
}

// New builds a server and binds its port, so that ":0" has an address.
func New(cfg config.Config, lg logs.Log) (_ *App, err error) {
	a := &App{cfg: cfg, log: lg, page: web.Handler()} // not the result, which is nil where a step fails
	defer func() {
		if err != nil {
			_ = a.steps.undo(context.Background(), lg)
		}
	}()
	if a.origins, err = transport.ParseOrigins(cfg.Origins); err != nil {
		return nil, fmt.Errorf("origins: %w", err)
	}
	if a.routes, err = stomp.ParseRoutes(cfg.STOMP.Routes); err != nil {
		return nil, fmt.Errorf("stomp.routes: %w", err)
	}
	m := newMeasures()
	engine := local.New(local.Options{
		Messages: cfg.Room.History, Bytes: cfg.Room.HistoryBytes, Bans: cfg.Limits.RoomBans, AllBans: cfg.Limits.Bans,
	})
	a.steps.add("close engine", func(context.Context) error { return engine.Close() })
	a.system = actors.New(actors.Options{
		Engine: engine, Log: lg,
		Rules: actors.Rules{
			IdleAfter: cfg.Session.IdleAfter, DisconnectAfter: cfg.Session.DisconnectAfter, MaxAge: cfg.Session.MaxAge,
			ResumeWindow: cfg.Session.ResumeWindow, ReloadGrace: cfg.Session.ReloadGrace,
		},
		Limits: actors.Limits{
			PublishRate: cfg.Limits.PublishRate, UpdateRate: cfg.Limits.UpdateRate, SignalRate: cfg.Limits.SignalRate,
			RequestRate: cfg.Limits.RequestRate, ErrorRate: cfg.Limits.ErrorRate,
			Rooms: cfg.Limits.Rooms, RoomMembers: cfg.Limits.RoomMembers, RoomObservers: cfg.Limits.RoomObservers,
			RoomQueue: cfg.Limits.RoomQueue, RoomsPerSession: cfg.Limits.RoomsPerSession, Away: mostConnections(cfg.Limits.Connections),
		},
		Modes: presence.Modes{
			FullMax: cfg.Presence.FullMax, ListMax: cfg.Presence.ListMax, Interval: cfg.Presence.Interval,
		},
		PerUser: actors.PerUser(cfg.Session.PerUser),
		Linger:  cfg.Room.Linger, Audit: cfg.Room.Audit, Timeline: cfg.Room.Timeline,
		Heartbeat: cfg.Heartbeat.Interval, MaxBytes: cfg.Limits.MessageBytes, Server: "rollcall/" + Version,
		ObserveFanout: m.observeFanout,
	})
	a.steps.add("stop actors", a.system.Stop)
	heartbeat := cfg.Heartbeat
	if heartbeat.Interval == 0 { // off, whatever the time-out is
		heartbeat.Timeout = 0
	}
	if a.wire, err = transport.New(transport.Options{
		Mode: cfg.Transport.Mode, Loops: cfg.Transport.Loops,
		Protocols: []string{protocol.Subprotocol}, Origins: a.origins, Connections: mostConnections(cfg.Limits.Connections),
		Admission:    transport.AdmissionOptions{Rate: cfg.Admission.Rate, AddressRate: cfg.Admission.AddressRate, Burst: cfg.Admission.Burst},
		MessageBytes: cfg.Limits.MessageBytes, Fragments: cfg.Limits.Fragments, OutboundBytes: cfg.Limits.OutboundBytes,
		ControlRate: cfg.Limits.ControlRate, CloseTimeout: cfg.Transport.CloseTimeout,
		HeartbeatInterval: heartbeat.Interval, HeartbeatTimeout: heartbeat.Timeout,
		Farewell: farewell, ObserveTurn: m.observeTurn,
	}); err != nil {
		return nil, fmt.Errorf("transport: %w", err)
	}
	a.steps.add("close connections", a.wire.Shutdown)
	if err := a.newFronts(); err != nil {
		return nil, err
	}
	a.metrics = m.handler(a)
	a.overload = newOverload(a.wire.Stats(), a.system.Stats())
	a.http = transport.HTTPServer(a, transport.HandshakeOptions{
		HeaderBytes: cfg.Limits.HandshakeBytes, HeaderTimeout: cfg.Limits.HandshakeTimeout,
		ErrorLog: log.New(&httpErrors{log: lg}, "", 0),
	})
	if err := a.listen(); err != nil {
		return nil, err
	}
	return a, nil
}

func (a *App) listen() error {
	o := transport.ListenOptions{
		SendBufferBytes: a.cfg.Transport.SendBuffer, UserTimeout: a.cfg.Transport.UserTimeout,
		Pending: a.cfg.Limits.Pending, Files: files(), Stats: a.wire.Stats(),
	}
	if a.cfg.TLS.Cert != "" {
		cert, err := tls.LoadX509KeyPair(a.cfg.TLS.Cert, a.cfg.TLS.Key)
		if err != nil {
			return fmt.Errorf("tls: %w", err)
		}
		o.TLS = &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12}
	}
	l, err := transport.Listen(context.Background(), a.cfg.Listen, o)
	if err != nil {
		return fmt.Errorf("listen on %s: %w", a.cfg.Listen, err)
	}
	a.listener = l
	a.steps.add("close listener", func(context.Context) error { return ignoreClosed(l.Close()) })
	return nil
}

func ignoreClosed(err error) error {
	if errors.Is(err, net.ErrClosed) || errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}

// Addr is where the server listens.
func (a *App) Addr() net.Addr { return a.listener.Addr() }

// System is the tree of actors, for tests.
func (a *App) System() *actors.System { return a.system }

// Run serves until ctx is done, and then takes the server down: clients are
// told, over the drain time, and everything is stopped in reverse order. When
// hurry is done, too, it no longer waits for anything. The error is that of the
// HTTP server, or of the steps down.
func (a *App) Run(ctx, hurry context.Context) error {
	a.expose()
	a.log.Info(logs.Listening, logs.Fields{"address": a.Addr().String(), "tls": a.cfg.TLS.Cert != "", "pid": os.Getpid()})
	failed := make(chan error, 1)
	go func() { failed <- ignoreClosed(transport.Serve(a.http, a.listener, endpoint)) }()
	over := make(chan struct{})
	var watching sync.WaitGroup
	watching.Go(func() { a.overload.watch(over, a.log) })
	watching.Go(func() { newMemory().watch(over) })
	defer watching.Wait()
	defer close(over)
	var err error
	select {
	case err = <-failed:
		a.log.Error(logs.HTTPFailure, logs.Fields{"reason": fmt.Sprint(err)})
	case <-ctx.Done():
	}
	return errors.Join(err, a.stop(hurry))
}

// expose says what is open, and to whom.
func (a *App) expose() {
	f := logs.Fields{
		"address": a.Addr().String(), "authentication": a.cfg.Auth.Mode, "origins": originsText(a.cfg.Origins),
		"api": "changes from loopback only",
	}
	if len(a.cfg.API.Keys) > 0 {
		f["api"] = "changes from loopback, or with a bearer key"
	}
	if t, ok := a.Addr().(*net.TCPAddr); ok && !t.IP.IsLoopback() {
		f["reason"] = "authentication is off and the port is open beyond this machine: anybody who can reach it may join as anyone"
		a.log.Warn(logs.Exposure, f)
		return
	}
	a.log.Info(logs.Exposure, f)
}

func originsText(list []string) any {
	if len(list) == 0 {
		return "same origin"
	}
	return list
}

// httpErrors writes what net/http has to say. Most of it is strangers'
// handshakes gone wrong: nothing of that is an error of ours. That it can't
// accept is for the operator to know.
type httpErrors struct {
	log logs.Log

	// Under the lock of the log.Logger that writes here.
	quiet   time.Time // until then, no more of what may come many times a second
	skipped int
}

func (h *httpErrors) Write(b []byte) (int, error) {
	if bytes.Contains(b, []byte("Accept error")) {
		if now := time.Now(); now.Before(h.quiet) {
			h.skipped++
		} else {
			h.log.Warn(logs.HTTPFailure, logs.Fields{"reason": string(b), "skipped": h.skipped})
			h.quiet, h.skipped = now.Add(overloadEvery), 0
		}
		return len(b), nil
	}
	h.log.Debug(logs.HTTPFailure, logs.Fields{"reason": string(b)})
	return len(b), nil
}

// askTimeout bounds how long an HTTP call waits for an actor.
const askTimeout = 5 * time.Second
