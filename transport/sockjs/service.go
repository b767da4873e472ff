package sockjs

import (
	"context"
	"net/http"
	"net/netip"
	"sync"

	"rollcall/transport"
)

// Service is SockJS below one prefix.
type Service struct {
	o       Options
	etag    string
	page    []byte         // the iframe page
	telling sync.WaitGroup // handlers that are being told of their end

	mu       sync.Mutex
	sessions map[string]*session // made of HTTP requests, by name
	drain    bool
	empty    chan struct{} // closed when drain and there are none
}

// New makes a Service. It runs until Shutdown.
func New(o Options) (*Service, error) {
	o, err := o.withDefaults()
	if err != nil {
		return nil, err
	}
	s := &Service{o: o, sessions: map[string]*session{}, empty: make(chan struct{})}
	s.page, s.etag = iframePage(o.Prefix, o.ClientURL)
	return s, nil
}

// find looks for a session that is not over.
func (svc *Service) find(name string) *session {
	svc.mu.Lock()
	defer svc.mu.Unlock()
	return svc.sessions[name]
}

// open finds a session, or opens one for r.
func (svc *Service) open(r *http.Request, c Client) (*session, *transport.Refusal) {
	if s := svc.find(c.Session); s != nil {
		return s, nil
	}
	h, refusal := svc.o.Accept(r, c)
	if refusal == nil {
		refusal = svc.o.Wire.Reserve(r)
	}
	if refusal != nil {
		svc.o.Stats.Refused[RefusedSession].Add(1)
		return nil, refusal
	}
	remote, _ := netip.ParseAddrPort(r.RemoteAddr)
	svc.mu.Lock()
	if s := svc.sessions[c.Session]; s != nil || svc.drain { // two came at once, or the last one came too late
		svc.mu.Unlock()
		svc.o.Wire.Release()
		if s == nil {
			return nil, unavailable("the server is going away")
		}
		return s, nil
	}
	s := newSession(svc, c.Session, remote, h)
	s.calls <- struct{}{} // no message comes before Open
	defer func() { <-s.calls }()
	svc.sessions[c.Session] = s
	svc.mu.Unlock()
	svc.o.Stats.Opened.Add(1)
	svc.o.Stats.Open.Add(1)
	h.Open(s)
	return s, nil
}

func unavailable(detail string) *transport.Refusal {
	return &transport.Refusal{
		Status: http.StatusServiceUnavailable, Code: "unavailable", Detail: detail, Header: http.Header{"Retry-After": {"5"}},
	}
}

// remove forgets a session. Its mu is held.
func (svc *Service) remove(s *session) {
	svc.mu.Lock()
	delete(svc.sessions, s.id)
	if svc.drain && len(svc.sessions) == 0 {
		close(svc.empty)
	}
	svc.mu.Unlock()
	svc.o.Wire.Release()
}

// Shutdown refuses new sessions and waits until every one that is made of HTTP
// requests is closed; by then only its receiver hears of it. When ctx ends first, the rest is lost, and Shutdown returns ctx's
// error. The handlers were told when it returns.
func (svc *Service) Shutdown(ctx context.Context) error {
	svc.mu.Lock()
	if svc.drain {
		svc.mu.Unlock()
		return transport.ErrServerClosed
	}
	svc.drain = true
	if len(svc.sessions) == 0 {
		close(svc.empty)
	}
	svc.mu.Unlock()
	for _, s := range svc.all() {
		s.buryClosed()
	}
	var err error
	select {
	case <-svc.empty:
	case <-ctx.Done():
		err = context.Cause(ctx)
		for _, s := range svc.all() {
			s.lose(err)
		}
		<-svc.empty
	}
	svc.telling.Wait()
	return err
}

func (svc *Service) draining() bool {
	svc.mu.Lock()
	defer svc.mu.Unlock()
	return svc.drain
}

func (svc *Service) all() []*session {
	svc.mu.Lock()
	defer svc.mu.Unlock()
	all := make([]*session, 0, len(svc.sessions))
	for _, s := range svc.sessions {
		all = append(all, s)
	}
	return all
}
