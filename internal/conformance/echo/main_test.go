package main

import (
	"bufio"
	"context"
	"crypto/x509"
	"encoding/pem"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"rollcall/internal/conformance/raw"
	"rollcall/transport"
)

// start runs the program and returns its address and what ends it, which gives
// run's error.
func start(t *testing.T, args ...string) (addr string, stop func() error) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	r, w := io.Pipe()
	done := make(chan error, 1)
	go func() {
		err := run(ctx, append([]string{"-addr", "127.0.0.1:0"}, args...), w)
		_ = w.CloseWithError(io.ErrUnexpectedEOF)
		done <- err
	}()
	line, err := bufio.NewReader(r).ReadString('\n')
	if err != nil {
		cancel()
		require.NoError(t, <-done, "the program ended")
	}
	addr, ok := strings.CutPrefix(strings.TrimSpace(line), "listening on ")
	require.True(t, ok, line)
	return addr, func() error { cancel(); return <-done }
}

func TestProgram(t *testing.T) {
	addr, stop := start(t, "-max-message", "1000", "-mode", "goroutine")
	c, err := raw.Dial(addr, nil, nil)
	require.NoError(t, err)
	check(t, c, exchange{"over -max-message", nil, closed(1009)}, raw.Bytes(raw.Text(strings.Repeat("x", 1001))))

	c, err = raw.Dial(addr, nil, nil)
	require.NoError(t, err)
	_, err = c.Write(raw.Bytes(raw.Text("here")))
	require.NoError(t, err)
	require.Equal(t, "text here", c.Show()) // it is served by now
	ended := make(chan error, 1)
	go func() { ended <- stop() }()
	require.Equal(t, "close 1001 going away", c.Show())
	_, _ = c.Write(raw.Bytes(raw.Close(1001, "")))
	_ = c.Close()
	require.NoError(t, <-ended)
}

func TestProgramWithTLS(t *testing.T) {
	server, client, err := raw.Certificate()
	require.NoError(t, err)
	key, err := x509.MarshalPKCS8PrivateKey(server.Certificates[0].PrivateKey)
	require.NoError(t, err)
	dir := t.TempDir()
	certFile, keyFile := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	for file, block := range map[string]*pem.Block{
		certFile: {Type: "CERTIFICATE", Bytes: server.Certificates[0].Certificate[0]},
		keyFile:  {Type: "PRIVATE KEY", Bytes: key},
	} {
		require.NoError(t, os.WriteFile(file, pem.EncodeToMemory(block), 0o600))
	}
	addr, stop := start(t, "-cert", certFile, "-key", keyFile)
	c, err := raw.Dial(addr, client, nil)
	require.NoError(t, err)
	check(t, c, exchange{"over TLS", nil, says("text hi")}, raw.Bytes(raw.Text("hi"), bye))
	require.NoError(t, stop())
}

func TestProgramRefusesNonsense(t *testing.T) {
	for _, args := range [][]string{
		{"-mode", "poll"}, {"-max-message", "-1"}, {"-addr", "nowhere"}, {"-cert", "missing.pem"},
	} {
		require.Error(t, run(t.Context(), args, io.Discard), args)
	}
}

// A peer that asks and never reads is not read from for ever.
func TestPeerThatNeverReadsIsBounded(t *testing.T) {
	for _, mode := range []string{transport.ModeAuto, transport.ModeGoroutine} {
		t.Run(mode, func(t *testing.T) {
			s := serve(t, options(mode, 0, maxMessage), false)
			c := s.dial(t, nil)
			var sent atomic.Int64 // messages
			stopped := make(chan struct{})
			go func() {
				defer close(stopped)
				frame := raw.Bytes(raw.Binary(strings.Repeat("x", 1<<20)))
				for range 1000 { // a gigabyte, if it is let
					if _, err := c.Write(frame); err != nil {
						return
					}
					sent.Add(1)
				}
			}()
			// What others are answered shows that the server has had its turns.
			for before := int64(-1); before != sent.Load() || before < outboundBytes/4>>20; {
				before = sent.Load()
				for range 50 {
					check(t, s.dial(t, nil), exchange{"another", nil, says("text hi")}, raw.Bytes(raw.Text("hi"), bye))
				}
			}
			require.Less(t, sent.Load(), int64(outboundBytes>>20), "messages of a megabyte taken from a peer that reads nothing")
			require.Zero(t, s.srv.Stats().Ended[transport.Slow].Load(), "throttled, not cut")
			_ = c.Close()
			<-stopped
		})
	}
}
