package app

import (
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"

	"rollcall/actors"
	"rollcall/config"
	"rollcall/transport"
)

var _ actors.Peer = transport.Conn(nil) // whose address and silence the timeline tells

// because says what a connection met, for the timeline: what the leave reason
// and the close code leave open. Empty: they say it all.
func because(e transport.End, cfg *config.Config) string {
	switch e.Cause {
	case transport.Silent:
		return fmt.Sprintf("silent for %s, and for %s after a ping", cfg.Heartbeat.Interval, cfg.Heartbeat.Timeout)
	case transport.Slow:
		return fmt.Sprintf("more than %d bytes waited for it (limits.outbound_bytes)", cfg.Limits.OutboundBytes)
	case transport.Violation:
		if e.Err != nil {
			return e.Err.Error()
		}
	case transport.Lost:
		return broke(e.Err)
	}
	return ""
}

// broke says how a socket ended.
func broke(err error) string {
	switch {
	case err == nil, errors.Is(err, io.EOF):
		return "the stream ended without a close frame"
	case errors.Is(err, syscall.ECONNRESET):
		return "reset by the peer"
	case errors.Is(err, syscall.EPIPE):
		return "a write failed, the peer was gone"
	case errors.Is(err, syscall.ETIMEDOUT), errors.Is(err, os.ErrDeadlineExceeded):
		return "what was sent was not acknowledged in time"
	}
	return err.Error()
}
