package transport

import (
	"context"
	"crypto/tls"
	"fmt"
	"log"
	"net"
	"net/http"
	"syscall"
	"time"
)

// ListenOptions are set once on the listening socket; what it accepts inherits
// them. The zero value works.
type ListenOptions struct {
	// SendBufferBytes is SO_SNDBUF, which the kernel doubles. Left to itself
	// the kernel takes up to 4 MB for one reader that has stopped before we
	// notice. Larger buys speed to far-away readers of much. Default 32 KiB.
	SendBufferBytes int
	// KeepAlive is the silence after which the kernel probes the peer's host.
	// Default 60s.
	KeepAlive time.Duration
	// UserTimeout ends a connection whose peer has acknowledged nothing, or
	// made no room, for so long (TCP_USER_TIMEOUT, RFC 5482): keepalive does
	// not run while data is under way. Linux only. Default 30s.
	UserTimeout time.Duration
	// TLS, when not nil, encrypts. It needs a certificate. ALPN is set to
	// http/1.1, the only protocol that upgrades.
	TLS *tls.Config
	// Pending is how many connections may be open at once that are not
	// WebSockets: handshakes and other requests under way, and connections kept
	// for the next request. When one more comes, the one that has idled longest
	// gives way to it, or the oldest whose request has not come; one address may
	// have a quarter of them. Each costs a descriptor, a goroutine and some
	// 20 KB. 0: no limit.
	Pending int
	// Files is how many descriptors there are for them and for WebSockets
	// together: the more of these are open, the fewer may be pending. 0: enough.
	Files int
	// Stats counts them, and who was refused. May be nil.
	Stats *Stats
}

// Listen opens a TCP listener for HTTPServer. Connections that it accepts,
// encrypted ones too, are those that event loops can take over.
func Listen(ctx context.Context, addr string, o ListenOptions) (net.Listener, error) {
	if o.SendBufferBytes == 0 {
		o.SendBufferBytes = 32 << 10
	}
	if o.KeepAlive == 0 {
		o.KeepAlive = time.Minute
	}
	if o.UserTimeout == 0 {
		o.UserTimeout = 30 * time.Second
	}
	lc := net.ListenConfig{
		KeepAlive: perConnectionKeepAlive(o),
		Control: func(_, _ string, rc syscall.RawConn) error {
			var err error
			if err2 := rc.Control(func(fd uintptr) { err = setListenOptions(int(fd), o) }); err2 != nil {
				return err2
			}
			return err
		},
	}
	lc.SetMultipathTCP(false)
	l, err := lc.Listen(ctx, "tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("transport: %w", err)
	}
	l = newPending(l, o)
	if o.TLS == nil {
		return l, nil
	}
	if len(o.TLS.Certificates) == 0 && o.TLS.GetCertificate == nil && o.TLS.GetConfigForClient == nil {
		_ = l.Close()
		return nil, fmt.Errorf("transport: listen on %s: TLS has no certificate", addr)
	}
	config := o.TLS.Clone()
	config.NextProtos = []string{"http/1.1"}
	config.DynamicRecordSizingDisabled = true // a batch of frames is one record, not eight
	return tls.NewListener(wireListener{l}, config), nil
}

// wireListener puts a wire under each tls.Conn.
type wireListener struct{ net.Listener }

func (l wireListener) Accept() (net.Conn, error) {
	nc, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &wire{Conn: nc}, nil
}

// HandshakeOptions bound what a stranger may do before it is a WebSocket. The
// zero value works.
type HandshakeOptions struct {
	// HeaderBytes is the size of a request's line and headers (431 over it;
	// net/http allows 4 KiB more). Default 8 KiB.
	HeaderBytes int
	// HeaderTimeout is the time for the TLS handshake, and again for the
	// headers. Default 5s.
	HeaderTimeout time.Duration
	// RequestTimeout is the time for a request with its body, and again for
	// the answer; it ends with the upgrade. Default 30s.
	RequestTimeout time.Duration
	// IdleTimeout closes a connection that waits for its next request.
	// Default 60s.
	IdleTimeout time.Duration
	// ErrorLog gets what net/http has to say; nil is the log package.
	ErrorLog *log.Logger
}

// HTTPServer serves h, pages and calls as well as handshakes, on a listener of
// Listen: HTTP/1.1 only, within bounds.
func HTTPServer(h http.Handler, o HandshakeOptions) *http.Server {
	if o.HeaderBytes == 0 {
		o.HeaderBytes = 8 << 10
	}
	for d, standard := range map[*time.Duration]time.Duration{
		&o.HeaderTimeout: 5 * time.Second, &o.RequestTimeout: 30 * time.Second, &o.IdleTimeout: time.Minute,
	} {
		if *d == 0 {
			*d = standard
		}
	}
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	return &http.Server{
		Handler:           pendingHandler(h),
		Protocols:         protocols,
		MaxHeaderBytes:    o.HeaderBytes,
		ReadHeaderTimeout: o.HeaderTimeout,
		ReadTimeout:       o.RequestTimeout,
		WriteTimeout:      o.RequestTimeout,
		IdleTimeout:       o.IdleTimeout,
		ErrorLog:          o.ErrorLog,
		ConnState:         pendingState,
		ConnContext:       pendingContext,
	}
}
