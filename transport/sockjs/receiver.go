package sockjs

import (
	"context"
	"net/http"
	"strings"
	"time"

	"rollcall/transport"
)

// receiver is how one transport puts frames into an HTTP response.
type receiver struct {
	contentType string
	prelude     string                                 // before the first frame; {{callback}} is replaced
	append      func(b, frame []byte, c string) []byte // one frame; c is the callback
	once        bool                                   // a response is one frame; else as many as the response limit lets
	callback    bool                                   // the request names a function of the page
}

const javascript = "application/javascript; charset=UTF-8"

var receivers = map[string]*receiver{
	"xhr":           {contentType: javascript, append: asLine, once: true},
	"xhr_streaming": {contentType: javascript, append: asLine, prelude: strings.Repeat("h", 2048) + "\n"},
	"eventsource":   {contentType: "text/event-stream", append: asEvent, prelude: "\r\n"},
	"htmlfile":      {contentType: "text/html; charset=UTF-8", append: asScript, prelude: htmlfile, callback: true},
	"jsonp":         {contentType: javascript, append: asCall, once: true, callback: true},
}

func asLine(b, frame []byte, _ string) []byte { return append(append(b, frame...), '\n') }

// asEvent makes an event of a frame. Frames have no line ends; but clients
// decode percent signs.
func asEvent(b, frame []byte, _ string) []byte {
	b = append(b, "data: "...)
	for _, c := range frame {
		if b = append(b, c); c == '%' {
			b = append(b, "25"...)
		}
	}
	return append(b, "\r\n\r\n"...)
}

func asScript(b, frame []byte, _ string) []byte {
	b = append(b, "<script>\np("...)
	return append(appendString(b, frame, &inScript), ");\n</script>\r\n"...)
}

// asCall begins with a comment, so that the response is nothing else than a
// script to whoever else would take it for something.
func asCall(b, frame []byte, callback string) []byte {
	b = append(append(append(b, "/**/"...), callback...), '(')
	return append(appendString(b, frame, &inText), ");\r\n"...)
}

// htmlfile is a page that grows by one script for each frame. It is longer than
// what browsers wait for before they show a page.
var htmlfile = func() string {
	page := `<!doctype html>
<html><head>
  <meta http-equiv="X-UA-Compatible" content="IE=edge" />
  <meta http-equiv="Content-Type" content="text/html; charset=UTF-8" />
</head><body><h2>Don't panic!</h2>
  <script>
    document.domain = document.domain;
    var c = parent.{{callback}};
    c.start();
    function p(d) {c.message(d);};
    window.onload = function() {c.stop();};
  </script>`
	return page + strings.Repeat(" ", 1100-len(page)) + "\r\n\r\n"
}()

// response is one receiver at work.
type response struct {
	*receiver
	w        http.ResponseWriter
	rc       *http.ResponseController
	callback string
	limit    int           // bytes of frames, after which the response is over
	patience time.Duration // for a write
	stats    *Stats
	sent     int
	buf      []byte
}

// full reports whether no frame should follow.
func (r *response) full() bool { return r.sent > 0 && (r.once || r.sent >= r.limit) }

func (r *response) begin() error {
	_ = r.rc.SetReadDeadline(time.Time{}) // net/http would take its end for that of the connection
	r.w.Header().Set("Content-Type", r.contentType)
	r.w.WriteHeader(http.StatusOK)
	if r.prelude == "" {
		return nil
	}
	return r.write([]byte(strings.ReplaceAll(r.prelude, "{{callback}}", r.callback)))
}

func (r *response) frame(frame []byte) error {
	r.buf = r.append(r.buf[:0], frame, r.callback)
	r.sent += len(r.buf)
	return r.write(r.buf)
}

func (r *response) write(b []byte) error {
	_ = r.rc.SetWriteDeadline(time.Now().Add(r.patience))
	r.stats.BytesOut.Add(int64(len(b)))
	if _, err := r.w.Write(b); err != nil {
		return err
	}
	if r.once { // the end of the response flushes
		return nil
	}
	return r.rc.Flush()
}

// receive lets a response be the receiver of s until it is full, or the session
// ends. It reports false, with nothing written, where the session is over.
func (s *session) receive(ctx context.Context, r *response) bool {
	mine, taken := s.attach()
	if taken != nil {
		mine, taken = s.attachAfter(ctx, taken)
	}
	if mine == nil && taken == nil {
		return false
	}
	if mine != nil { // one for each session, which are bounded
		defer transport.Park(ctx)()
	}
	err := r.begin()
	if taken != nil {
		s.svc.o.Stats.Refused[RefusedReceiver].Add(1)
		if err == nil {
			_ = r.frame(closeFrame(closeBusy, "Another connection still open"))
		}
		return true
	}
	if err == nil {
		err = s.pump(ctx, r, mine)
	}
	if err != nil { // what it was given may be lost
		s.lose(err)
	}
	s.detach(mine)
	return true
}

// busyGrace is how long a second receiver waits for the first one to go: its
// connection may have broken, and nobody noticed yet.
const busyGrace = 100 * time.Millisecond

func (s *session) attachAfter(ctx context.Context, taken *seat) (mine, still *seat) {
	grace := time.NewTimer(busyGrace)
	defer grace.Stop()
	select {
	case <-taken.left:
	case <-grace.C:
	case <-ctx.Done():
	}
	return s.attach()
}

// pump writes what comes. The error is that of a client that has gone.
func (s *session) pump(ctx context.Context, r *response, mine *seat) error {
	heartbeat := time.NewTimer(s.svc.o.Heartbeat)
	defer heartbeat.Stop()
	for !r.full() {
		frame, last := s.take()
		if frame == nil && !last {
			select {
			case <-mine.news:
				continue
			case <-ctx.Done():
				return context.Cause(ctx)
			case <-heartbeat.C:
				frame = heartbeatFrame
			}
		}
		if frame == nil {
			return nil
		}
		if err := r.frame(frame); err != nil || last {
			return err
		}
		heartbeat.Reset(s.svc.o.Heartbeat)
	}
	return nil
}
