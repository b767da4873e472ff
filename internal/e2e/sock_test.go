package e2e

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"rollcall/client"
	"rollcall/protocol"
)

// sock is a line through SockJS, by one of its transports: websocket, xhr or
// xhr_streaming. It asks for messages all the time.
type sock struct {
	url, query string
	ws         *client.Conn // nil: requests
	http       *http.Client
	ctx        context.Context
	cancel     context.CancelFunc
	texts      chan []byte        // messages, unbounded but for the channel's size
	ended      *client.CloseError // set before texts is closed
}

var socks atomic.Int64

// sock opens a line and reads its greeting. The query is with its question mark.
func (s *server) sock(t testing.TB, transport, query string) *sock {
	t.Helper()
	k, err := s.dialSock(transport, query)
	require.NoError(t, err)
	t.Cleanup(k.Abort)
	return k
}

func (s *server) dialSock(transport, query string) (*sock, error) {
	k := &sock{
		url: fmt.Sprintf("http://%s/sockjs/000/s%d/", s.addr, socks.Add(1)), query: query, texts: make(chan []byte, 1<<14),
		http: &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}, // one that idles may be closed for others
	}
	k.ctx, k.cancel = context.WithCancel(context.Background())
	opened := make(chan struct{})
	if transport == "websocket" {
		var err error
		if k.ws, err = client.Connect(k.ctx, "ws"+strings.TrimPrefix(k.url, "http")+transport+query, client.Options{CloseTimeout: patience}); err != nil {
			return nil, err
		}
		go k.listen(opened)
	} else {
		go k.ask(transport, opened)
	}
	select {
	case <-opened:
		return k, nil
	case <-time.After(patience):
		k.Abort()
		return nil, errors.New("no greeting came")
	}
}

// listen reads frames from a WebSocket.
func (k *sock) listen(opened chan<- struct{}) {
	for {
		b, err := k.ws.Read()
		if err == nil {
			err = k.frame(string(b), &opened)
		}
		if err != nil {
			k.end(err)
			return
		}
	}
}

// ask makes one request after the other, and reads the frames of their answers.
func (k *sock) ask(transport string, opened chan<- struct{}) {
	for {
		r, err := http.NewRequestWithContext(k.ctx, http.MethodPost, k.url+transport+k.query, nil)
		if err != nil {
			k.end(err)
			return
		}
		resp, err := k.http.Do(r)
		if err != nil {
			k.end(err)
			return
		}
		lines := bufio.NewReader(resp.Body)
		for err == nil {
			var text string
			if text, err = lines.ReadString('\n'); err == nil {
				err = k.frame(strings.TrimSuffix(text, "\n"), &opened)
			}
		}
		_ = resp.Body.Close()
		if !errors.Is(err, io.EOF) {
			k.end(err)
			return
		}
	}
}

// frame takes one frame. Its error is the end.
func (k *sock) frame(frame string, opened *chan<- struct{}) error {
	switch {
	case frame == "o" && *opened == nil:
		return errors.New("the session was lost, and this is another")
	case frame == "o":
		close(*opened)
		*opened = nil
	case strings.Trim(frame, "h") == "": // a heartbeat, or what a stream begins with
	case frame[0] == 'a':
		var texts []string
		if err := json.Unmarshal([]byte(frame[1:]), &texts); err != nil {
			return err
		}
		for _, text := range texts {
			k.texts <- []byte(text)
		}
	case frame[0] == 'c':
		end := &client.CloseError{}
		if _, err := fmt.Sscanf(frame, "c[%d,%q]", &end.Code, &end.Reason); err != nil {
			return err
		}
		return end
	default:
		return fmt.Errorf("what is %q", frame)
	}
	return nil
}

func (k *sock) end(err error) {
	if !errors.As(err, &k.ended) {
		k.ended = &client.CloseError{Code: protocol.CloseAbnormal, Err: err}
	}
	close(k.texts)
}

// Read implements line.
func (k *sock) Read() ([]byte, error) {
	select {
	case text, ok := <-k.texts:
		if !ok {
			return nil, k.ended
		}
		return text, nil
	case <-time.After(patience):
		return nil, errors.New("nothing came")
	}
}

// Write implements line.
func (k *sock) Write(message []byte) error {
	b, err := json.Marshal([]string{string(message)})
	if err != nil {
		return err
	}
	if k.ws != nil {
		return k.ws.Write(b)
	}
	r, err := http.NewRequestWithContext(k.ctx, http.MethodPost, k.url+"xhr_send", strings.NewReader(string(b)))
	if err != nil {
		return err
	}
	resp, err := k.http.Do(r)
	if err != nil {
		return err
	}
	_ = resp.Body.Close()
	if resp.StatusCode != http.StatusNoContent {
		return fmt.Errorf("xhr_send is answered with %s", resp.Status)
	}
	return nil
}

// Abort implements line: what is under way breaks.
func (k *sock) Abort() {
	k.cancel()
	if k.ws != nil {
		k.ws.Abort()
	}
}
