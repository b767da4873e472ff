package client

import (
	"time"

	"rollcall/protocol"
)

// keepPromise sends the pings that Options.Heartbeat promises, until stop is
// called. They have no id, so nothing answers. None is sent while events wait
// that nobody reads: a program that hangs is to be seen as one.
func (c *Client) keepPromise(conn *Conn) (stop func()) {
	if c.opts.Heartbeat == 0 {
		return func() {}
	}
	over := make(chan struct{})
	c.writers.Go(func() {
		t := time.NewTicker(c.opts.Heartbeat)
		defer t.Stop()
		for {
			select {
			case <-t.C:
			case <-over:
				return
			}
			if len(c.events) < cap(c.events) {
				_ = conn.Write(new(protocol.Ping).AppendJSON(nil)) // a failure ends the connection
			}
		}
	})
	return func() { close(over) }
}
