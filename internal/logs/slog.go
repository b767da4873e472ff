package logs

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/sirupsen/logrus"
)

// Slog leads a library's slog into the log, as events actor_system and
// dead_letter. Values that might hold what a client sent are written as their
// Go type alone.
func (l Log) Slog() *slog.Logger { return slog.New(&bridge{log: l}) }

// bridge is the slog.Handler. Library lines are one level lower than they
// claim to be: what matters of a failure is in actor_failed, once.
type bridge struct {
	log    Log
	fields []slog.Attr
}

func (b *bridge) Enabled(_ context.Context, level slog.Level) bool {
	return b.log.On(lower(level))
}

func lower(level slog.Level) logrus.Level {
	switch {
	case level >= slog.LevelError:
		return logrus.WarnLevel
	default:
		return logrus.DebugLevel
	}
}

// Handle implements slog.Handler. It is called from within protoactor's own
// recovery, where a panic would end the process: it must not fail.
func (b *bridge) Handle(_ context.Context, r slog.Record) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("log: %v", p)
		}
	}()
	f := Fields{"library_message": r.Message}
	for _, a := range b.fields {
		f[a.Key] = plain(a.Value)
	}
	r.Attrs(func(a slog.Attr) bool {
		name := a.Key
		if name == "message" { // a dead letter's: its type is all that may be told
			name = "message_type"
		}
		f[name] = plain(a.Value)
		return true
	})
	event := ActorSystem
	if r.Message == "[DeadLetter]" {
		event = DeadLetter
	}
	b.log.write(lower(r.Level), event, f)
	return nil
}

// plain turns a value into what may be written: an actor's id, an error's or
// a number's text, the type of anything else.
func plain(v slog.Value) any {
	v = v.Resolve()
	switch v.Kind() {
	case slog.KindAny:
		switch x := v.Any().(type) {
		case interface{ GetId() string }: // *actor.PID
			return x.GetId()
		case error:
			return x.Error()
		case nil:
			return nil
		default:
			return fmt.Sprintf("%T", x)
		}
	case slog.KindGroup:
		return "group"
	default:
		return v.String()
	}
}

func (b *bridge) WithAttrs(as []slog.Attr) slog.Handler {
	return &bridge{b.log, append(b.fields[:len(b.fields):len(b.fields)], as...)}
}

func (b *bridge) WithGroup(string) slog.Handler { return b }
