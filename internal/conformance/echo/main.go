// Command echo is a WebSocket server that sends every message back: the
// production transport with nothing above it, for suites that test conformance
// to RFC 6455 and for load. It has the services that suites for SockJS expect,
// too: /echo, /disabled_websocket_echo, /cookie_needed_echo, /close, /amplify,
// /broadcast and /ticker.
package main

import (
	"context"
	"crypto/tls"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"rollcall/transport"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	err := run(ctx, os.Args[1:], os.Stdout)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "echo:", err)
		os.Exit(1)
	}
}

// run serves until ctx ends. It prints the address that it listens on.
func run(ctx context.Context, args []string, out io.Writer) error {
	flags := flag.NewFlagSet("echo", flag.ContinueOnError)
	addr := flags.String("addr", "127.0.0.1:9100", "address to listen on, host:port; port 0 picks one")
	message := flags.Int("max-message", 32<<20, "largest message in bytes")
	mode := flags.String("mode", transport.ModeAuto, "auto, epoll or goroutine")
	loops := flags.Int("loops", 0, "event loops; 0 is one per core")
	cert := flags.String("cert", "", "TLS certificate file (PEM); needs -key")
	key := flags.String("key", "", "TLS key file (PEM)")
	if err := flags.Parse(args); err != nil {
		return err
	}
	listen := transport.ListenOptions{}
	if *cert != "" || *key != "" {
		pair, err := tls.LoadX509KeyPair(*cert, *key)
		if err != nil {
			return err
		}
		listen.TLS = &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12}
	}
	l, err := transport.Listen(ctx, *addr, listen)
	if err != nil {
		return err
	}
	o := options(*mode, *loops, *message)
	srv, err := transport.New(o)
	if err != nil {
		return errors.Join(err, l.Close())
	}
	all, err := newServices(o)
	if err != nil {
		return errors.Join(err, l.Close())
	}
	web := transport.HTTPServer(handler(srv, all), transport.HandshakeOptions{})
	failed := make(chan error, 1)
	go func() { failed <- transport.Serve(web, l, endpoint) }()
	_, _ = fmt.Fprintln(out, "listening on", l.Addr())

	select {
	case err = <-failed:
	case <-ctx.Done():
	}
	end, cancel := context.WithTimeout(context.Background(), 3*time.Second)
	defer cancel()
	_ = web.Shutdown(end)
	_ = all.shutdown(end)
	srv.CloseAll(1001, "going away")
	if late := srv.Shutdown(end); late != nil && !errors.Is(late, context.DeadlineExceeded) {
		err = errors.Join(err, late)
	}
	if errors.Is(err, http.ErrServerClosed) {
		err = nil
	}
	return err
}
