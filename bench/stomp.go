package bench

import (
	"bytes"
	"context"
)

// stomp is Rollcall by STOMP 1.2 (docs/stomp.md). Its clients subscribe to a
// room's presence and to its messages, which is what native clients get.
type stomp struct{}

func (stomp) Name() string { return "rollcall-stomp" }

func (stomp) Start(ctx context.Context, o StartOptions) (*Target, error) {
	return startRollcall(ctx, o)
}

func (stomp) Handshake(*Client) (target, header string) {
	return "/stomp", "Sec-WebSocket-Protocol: v12.stomp\r\n"
}

func (stomp) Opening(c *Client) []string { return []string{stompConnect(c) + "\x00"} }

func stompConnect(c *Client) string {
	return "CONNECT\naccept-version:1.2\nhost:127.0.0.1\nlogin:" + c.User + "\n\n"
}

// stompSubscribe are the frames behind CONNECTED. Presence comes first: what
// follows the receipt is seen by both.
func stompSubscribe(c *Client) [2]string {
	return [2]string{
		"SUBSCRIBE\nid:presence\ndestination:/topic/" + c.Room + "/presence\n\n",
		"SUBSCRIBE\nid:messages\nreceipt:in\ndestination:/topic/" + c.Room + "\n\n",
	}
}

func stompUnsubscribe() [2]string {
	return [2]string{"UNSUBSCRIBE\nid:presence\n\n", "UNSUBSCRIBE\nid:messages\nreceipt:out\n\n"}
}

func (stomp) Publish(dst []byte, c *Client, body []byte) []byte {
	dst = append(dst, "SEND\ndestination:/app/"...)
	dst = append(dst, c.Room...)
	dst = append(dst, "\n\n"...)
	dst = append(dst, body...)
	return append(dst, 0)
}

func (stomp) Leave(dst []byte, _ *Client) []byte {
	for _, f := range stompUnsubscribe() {
		dst = append(append(dst, f...), 0)
	}
	return dst
}

func (stomp) Read(c *Client, m []byte) Event {
	e := readStomp(c, m)
	if bytes.HasPrefix(m, []byte("CONNECTED\n")) {
		f := stompSubscribe(c)
		e.Reply = []string{f[0] + "\x00", f[1] + "\x00"}
	}
	return e
}

func readStomp(c *Client, m []byte) Event {
	switch {
	case bytes.HasPrefix(m, []byte("MESSAGE\n")):
		if !bytes.Contains(m[:min(len(m), 40)], []byte("\nsubscription:presence\n")) {
			return Event{Kind: Message}
		}
		_, body, _ := bytes.Cut(m, []byte("\n\n"))
		e := readNative(c, body)
		// Its numbers count what comes by the other subscription, too.
		e.Kind, e.First, e.Last = Presence, 0, 0
		return e
	case bytes.HasPrefix(m, []byte("RECEIPT\nreceipt-id:in\n")):
		return Event{Kind: Joined}
	case bytes.HasPrefix(m, []byte("RECEIPT\nreceipt-id:out\n")):
		return Event{Kind: Left}
	case bytes.HasPrefix(m, []byte("ERROR\n")):
		return Event{Kind: Refused}
	}
	return Event{}
}
