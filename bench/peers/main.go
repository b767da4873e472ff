// Command peers is a chat hub as one would write it with each of three
// WebSocket libraries, all with the same protocol and the same work (README.md).
package main

import (
	"errors"
	"flag"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"
)

// What all hubs have in common.
const (
	pongTimeout  = 60 * time.Second // of silence, then the connection is given up
	writeTimeout = 10 * time.Second // of one message
	messageBytes = 64 << 10         // of one message from a client
)

// kinds are the hubs, by library.
var kinds = map[string]func(options) http.Handler{
	"gorilla": newGorilla,
	"gobwas":  newGobwas,
	"coder":   newCoder,
}

// options are how a scenario wants its hub.
type options struct {
	ping  time.Duration // how often each connection is pinged
	quiet bool          // joins and leaves are not told, and members are not listed
}

func main() {
	var o options
	kind := flag.String("kind", "gorilla", "the library: gorilla, gobwas or coder")
	address := flag.String("listen", "127.0.0.1:8100", "where to listen: host:port")
	flag.DurationVar(&o.ping, "ping", 25*time.Second, "how often each connection is pinged, less than a minute")
	flag.BoolVar(&o.quiet, "quiet", false, "tell nobody of joins and leaves, only how many there are when one joins")
	flag.Parse()
	if err := serve(*kind, *address, o); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// serve listens until SIGINT or SIGTERM.
func serve(kind, address string, o options) error {
	hub, known := kinds[kind]
	if !known {
		return fmt.Errorf("no hub is called %q", kind)
	}
	if o.ping <= 0 || o.ping >= pongTimeout {
		return fmt.Errorf("pings every %v, must be more than 0 and less than %v", o.ping, pongTimeout)
	}
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return err
	}
	server := &http.Server{Handler: hub(o), ReadHeaderTimeout: 10 * time.Second}
	told := make(chan os.Signal, 1)
	signal.Notify(told, os.Interrupt, syscall.SIGTERM)
	go func() {
		<-told
		_ = server.Close()
	}()
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}
