package e2e

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"errors"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"rollcall/client"
	"rollcall/config"
	"rollcall/protocol"
)

func TestAVisit(t *testing.T) {
	inBothModes(t, func(t *testing.T, mode string) {
		s := start(t, func(c *config.Config) { c.Transport.Mode = mode })
		ann := open(t, s.addr, `user=ann&name=Ann&data={"mood":"fine"}&room=one&room=two/a`, client.Options{})
		require.Equal(t, protocol.Subprotocol, ann.Protocol)
		go ann.readAll()

		hello, ok := ann.next().(*protocol.Welcome)
		require.True(t, ok, "the first frame is always welcome")
		require.Equal(t, "ann", hello.User)
		require.Equal(t, "Ann", hello.Name)
		require.False(t, hello.Resumed)
		require.EqualValues(t, 25000, hello.HeartbeatMS)
		require.EqualValues(t, 300000, hello.IdleMS)
		require.EqualValues(t, 1800000, hello.DisconnectMS)
		require.Equal(t, 65536, hello.MaxBytes)
		for _, name := range []string{"one", "two/a"} { // in order
			j := want[*protocol.Joined](ann)
			require.Equal(t, name, j.Room)
			require.Equal(t, protocol.ModeFull, j.Mode)
			require.Equal(t, protocol.Count{Sessions: 1, Users: 1}, j.Count)
			require.JSONEq(t, `{"mood":"fine"}`, string(j.Members[0].Data), "data rides with the connection")
		}

		bob := connect(t, s.addr, "user=bob&room=one")
		first := want[*protocol.Joined](bob)
		require.Len(t, first.Members, 2)
		require.EqualValues(t, 2, first.Offset)
		require.True(t, want[*protocol.MemberJoined](ann).First)

		status, body := s.call(t, "POST", "/api/v1/rooms/one/messages", `{"data":"from a back end","user":"bot"}`)
		require.Equal(t, 201, status, body)
		for _, p := range []*peer{ann, bob} {
			m := want[*protocol.MessagePublished](p)
			require.EqualValues(t, 3, m.Offset)
			require.Empty(t, m.Session)
			require.Equal(t, "bot", m.User)
		}

		bob.send(&protocol.Signal{Request: protocol.Request{Room: "one"}, Data: json.RawMessage(`{"typing":true}`)})
		require.Equal(t, bob.session, want[*protocol.Signaled](ann).Session)
		bob.send(&protocol.Update{Request: protocol.Request{ID: 5, Room: "one"}, Data: json.RawMessage(`{"mood":"hungry"}`)})
		require.JSONEq(t, `{"mood":"hungry"}`, string(want[*protocol.MemberUpdated](ann).Data))
		require.EqualValues(t, 4, want[*protocol.OK](bob).Offset)

		again := connect(t, s.addr, "user=bob") // a second device
		again.send(&protocol.Join{Request: protocol.Request{ID: 1, Room: "one"}, Since: &protocol.Position{Epoch: first.Epoch, Offset: 2}})
		j := want[*protocol.Joined](again)
		require.True(t, j.Recovered)
		require.Len(t, j.Messages, 1)
		require.Equal(t, protocol.Count{Sessions: 3, Users: 2}, j.Count)
		require.False(t, want[*protocol.MemberJoined](ann).First, "bob was here already")
		bob.Abort()
		require.False(t, want[*protocol.MemberLeft](ann).Last, "bob is still here")
		require.NoError(t, again.Close(1000, ""))
		require.True(t, want[*protocol.MemberLeft](ann).Last)
	})
}

func TestWhatComesWithTheHandshakeIsNotLost(t *testing.T) {
	inBothModes(t, func(t *testing.T, mode string) {
		s := start(t, func(c *config.Config) { c.Transport.Mode = mode })
		nc, err := net.Dial("tcp", s.addr)
		require.NoError(t, err)
		defer func() { _ = nc.Close() }()
		join := maskedFrame(1, (&protocol.Join{Request: protocol.Request{ID: 1, Room: "a"}}).AppendJSON(nil))
		_, err = nc.Write(append([]byte("GET /ws?user=kim HTTP/1.1\r\nHost: "+s.addr+"\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"+
			"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"), join...))
		require.NoError(t, err)
		eventually(t, "the join to arrive", func() bool { return s.metric(t, "rollcall_members") == 1 })
	})
}

func TestTheClientComesBackAfterARestart(t *testing.T) {
	first := start(t, nil)
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	c, err := client.Dial(ctx, "ws://"+first.addr+"/ws", client.Options{
		User: "ann", Rooms: []string{room}, MinBackoff: 10 * time.Millisecond, MaxBackoff: 100 * time.Millisecond,
	})
	require.NoError(t, err)
	defer func() { _ = c.Close() }()
	joined := func() *protocol.Joined {
		for e := range c.Events() {
			if j, ok := e.(*protocol.Joined); ok {
				return j
			}
		}
		t.Fatal("the client ended")
		return nil
	}
	before := joined()
	require.NoError(t, first.stop())
	second := start(t, func(cfg *config.Config) { cfg.Listen = first.addr })
	after := joined()
	require.NotEqual(t, before.Epoch, after.Epoch, "another server, another count")
	require.False(t, after.Recovered)
	require.Len(t, after.Members, 1)
	require.EqualValues(t, 1, second.metric(t, "rollcall_members"))
}

func TestTLSOverTheSameLoop(t *testing.T) {
	inBothModes(t, func(t *testing.T, mode string) {
		cert, key, roots := certificate(t)
		s := start(t, func(c *config.Config) {
			c.Transport.Mode = mode
			c.TLS.Cert, c.TLS.Key = cert, key
		})
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		var clients []*client.Client
		for _, user := range []string{"ann", "bob"} {
			c, err := client.Dial(ctx, "wss://"+s.addr+"/ws", client.Options{
				User: user, TLS: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}, NoReconnect: true,
			})
			require.NoError(t, err)
			_, err = c.Join(ctx, room, client.Join{})
			require.NoError(t, err)
			clients = append(clients, c)
		}
		ann, bob := clients[0], clients[1]
		for range 100 {
			_, err := bob.Publish(ctx, room, "x")
			if e := new(protocol.Error); errors.As(err, &e) {
				require.Equal(t, protocol.ErrRateLimited, e.Code)
				break
			}
			require.NoError(t, err)
		}
		bob.Abort()
		for e := range ann.Events() {
			if l, ok := e.(*protocol.MemberLeft); ok {
				require.Equal(t, protocol.ReasonLost, l.Reason)
				break
			}
		}
		require.NoError(t, ann.Close())
	})
}

// certificate makes a certificate for loopback, in files.
func certificate(t *testing.T) (cert, key string, roots *x509.CertPool) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "loopback"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	require.NoError(t, err)
	raw, err := x509.MarshalPKCS8PrivateKey(private)
	require.NoError(t, err)
	dir := t.TempDir()
	cert, key = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	require.NoError(t, os.WriteFile(cert, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600))
	require.NoError(t, os.WriteFile(key, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: raw}), 0o600))
	parsed, err := x509.ParseCertificate(der)
	require.NoError(t, err)
	roots = x509.NewCertPool()
	roots.AddCert(parsed)
	return cert, key, roots
}

func TestASnapshotLargerThanTheOutboundBoundArrives(t *testing.T) {
	inBothModes(t, func(t *testing.T, mode string) {
		s := start(t, func(c *config.Config) { c.Transport.Mode = mode })
		data := json.RawMessage(`"` + strings.Repeat("x", 4000) + `"`)
		const members = 100 // 400 KB of data, over the 256 KiB that may wait
		for range members {
			p := connect(t, s.addr, "")
			p.send(&protocol.Join{Request: protocol.Request{ID: 1, Room: room}, Data: data})
			want[*protocol.Joined](p)
		}
		late := open(t, s.addr, "room="+room, client.Options{NetDial: buffers(32 << 10)})
		eventually(t, "the snapshot to be written", func() bool { return s.metric(t, "rollcall_members") == members+1 })
		status, body := s.call(t, "POST", "/api/v1/rooms/"+room+"/messages", `{"data":"next"}`)
		require.Equal(t, 201, status, body)
		go late.readAll()
		require.Len(t, want[*protocol.Joined](late).Members, members+1)
		require.JSONEq(t, `"next"`, string(want[*protocol.MessagePublished](late).Data))
	})
}
