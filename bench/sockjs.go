package bench

import (
	"bytes"
	"context"
	"strconv"
	"strings"
)

// sockjs is Rollcall by STOMP inside SockJS's framing on a WebSocket
// (docs/sockjs.md): what a page with sockjs-client and stompjs speaks.
type sockjs struct{}

func (sockjs) Name() string { return "rollcall-sockjs" }

func (sockjs) Start(ctx context.Context, o StartOptions) (*Target, error) {
	return startRollcall(ctx, o)
}

func (sockjs) Handshake(c *Client) (target, header string) {
	return "/sockjs/000/" + c.User + "v" + strconv.Itoa(c.Visit) + "/websocket", ""
}

func (sockjs) Opening(*Client) []string { return nil } // it waits for the open frame

// sockFrame puts a STOMP frame, without its NUL, into a frame of SockJS.
func sockFrame(f string) string {
	return `["` + strings.ReplaceAll(f, "\n", `\n`) + `\u0000"]`
}

func (sockjs) Publish(dst []byte, c *Client, body []byte) []byte {
	dst = append(dst, `["SEND\ndestination:/app/`...)
	dst = append(dst, c.Room...)
	dst = append(dst, `\n\n`...)
	dst = append(dst, body...)
	return append(dst, `\u0000"]`...)
}

func (sockjs) Leave(dst []byte, _ *Client) []byte {
	f := stompUnsubscribe()
	return append(dst, sockFrame(f[0]+`\u0000`+f[1])...)
}

func (sockjs) Read(c *Client, m []byte) Event {
	switch {
	case string(m) == "o":
		return Event{Reply: []string{sockFrame(stompConnect(c))}}
	case bytes.HasPrefix(m, []byte(`a["MESSAGE\nsubscription:messages\n`)):
		return Event{Kind: Message}
	case bytes.HasPrefix(m, []byte("c[")):
		return Event{Kind: Refused}
	case !bytes.HasPrefix(m, []byte(`a["`)):
		return Event{} // a heartbeat
	}
	f := sockText.Replace(string(m[3:])) // no JSON string in it has other escapes
	if strings.HasPrefix(f, "CONNECTED\n") {
		subscribe := stompSubscribe(c)
		return Event{Reply: []string{sockFrame(subscribe[0]), sockFrame(subscribe[1])}}
	}
	return readStomp(c, []byte(f))
}

var sockText = strings.NewReplacer(`\n`, "\n", `\"`, `"`)
