// Package freezer is a dead network for tests: a TCP proxy that can stop
// passing anything on, in both directions, with all sockets left open.
package freezer

import (
	"net"
	"sync"
)

// Proxy passes on what clients of Address and its target send each other, until
// it is frozen.
type Proxy struct {
	Address string

	target   string
	listener net.Listener
	frozen   chan struct{}
	once     sync.Once

	mu    sync.Mutex
	conns []net.Conn
	done  bool
}

// New starts a proxy to a target on a free port of loopback.
func New(target string) (*Proxy, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	p := &Proxy{Address: l.Addr().String(), target: target, listener: l, frozen: make(chan struct{})}
	go p.serve()
	return p, nil
}

// Freeze stops all that passes, for good.
func (p *Proxy) Freeze() { p.once.Do(func() { close(p.frozen) }) }

// Close ends the proxy and what goes through it.
func (p *Proxy) Close() {
	_ = p.listener.Close()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.done = true
	for _, c := range p.conns {
		_ = c.Close()
	}
}

func (p *Proxy) serve() {
	for {
		near, err := p.listener.Accept()
		if err != nil {
			return
		}
		go p.connect(near)
	}
}

func (p *Proxy) connect(near net.Conn) {
	far, err := net.Dial("tcp", p.target)
	if err != nil {
		_ = near.Close()
		return
	}
	p.mu.Lock()
	p.conns = append(p.conns, near, far)
	if p.done {
		_, _ = near.Close(), far.Close()
	}
	p.mu.Unlock()
	go p.pass(near, far)
	go p.pass(far, near)
}

func (p *Proxy) pass(from, to net.Conn) {
	b := make([]byte, 4096)
	for {
		n, err := from.Read(b)
		select {
		case <-p.frozen:
			return // what came stays here, and the sockets open
		default:
		}
		if n > 0 {
			if _, err := to.Write(b[:n]); err != nil {
				return
			}
		}
		if err != nil {
			_ = to.Close()
			return
		}
	}
}
