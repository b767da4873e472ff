package logs

import (
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/sirupsen/logrus"
)

// Options of a Log.
type Options struct {
	Format string // "json" or "text"
	Level  string // "debug", "info", "warn" or "error"
}

// New returns a log that writes to out, one line per event.
func New(out io.Writer, o Options) (Log, error) {
	level, err := logrus.ParseLevel(o.Level)
	if err != nil {
		return Log{}, fmt.Errorf("log level: %w", err)
	}
	lg := logrus.New()
	lg.SetOutput(out)
	lg.SetLevel(level)
	stamp := "2006-01-02T15:04:05.000Z07:00"
	var f logrus.Formatter
	switch o.Format {
	case "json":
		f = &logrus.JSONFormatter{TimestampFormat: stamp, FieldMap: logrus.FieldMap{logrus.FieldKeyMsg: "message"}}
	case "text":
		f = &logrus.TextFormatter{TimestampFormat: stamp, FullTimestamp: true}
	default:
		return Log{}, fmt.Errorf("log format: %q is neither json nor text", o.Format)
	}
	lg.SetFormatter(&guard{next: f, seen: map[string]*burst{}})
	return Log{lg}, nil
}

// Discard is a log that writes nothing, for tests.
func Discard() Log {
	lg := logrus.New()
	lg.SetOutput(io.Discard)
	lg.SetLevel(logrus.PanicLevel)
	return Log{lg}
}

// Of an event at info or below, the first sampleFirst in a second are written,
// and then every sampleEvery-th, which says in the field skipped how many were
// left out since the line before.
const (
	sampleFirst = 100
	sampleEvery = 100
)

// secret fields are never written, whoever adds them.
var secret = []string{"token", "data", "authorization", "key", "keys", "password", "passcode", "resume"}

// guard is the formatter in front of the real one: it redacts and samples.
type guard struct {
	next logrus.Formatter

	mu   sync.Mutex
	seen map[string]*burst // by event, a closed set
}

// burst is one event within one second.
type burst struct {
	second  int64
	count   int
	skipped int
}

// Format implements logrus.Formatter. No bytes: the entry is not written.
func (g *guard) Format(e *logrus.Entry) ([]byte, error) {
	if e.Level >= logrus.InfoLevel {
		skipped, write := g.sample(e)
		if !write {
			return nil, nil
		}
		if skipped > 0 {
			e.Data["skipped"] = skipped
		}
	}
	for _, name := range secret {
		if _, has := e.Data[name]; has {
			e.Data[name] = "[redacted]"
		}
	}
	return g.next.Format(e)
}

func (g *guard) sample(e *logrus.Entry) (skipped int, write bool) {
	event, _ := e.Data["event"].(string)
	g.mu.Lock()
	defer g.mu.Unlock()
	b := g.seen[event]
	if b == nil {
		b = &burst{}
		g.seen[event] = b
	}
	if now := e.Time.Truncate(time.Second).Unix(); now != b.second {
		b.second, b.count = now, 0
	}
	if b.count++; b.count > sampleFirst && b.count%sampleEvery != 0 {
		b.skipped++
		return 0, false
	}
	skipped, b.skipped = b.skipped, 0
	return skipped, true
}
