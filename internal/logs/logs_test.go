package logs

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"log/slog"
	"regexp"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sirupsen/logrus"
	"github.com/stretchr/testify/require"
)

// open returns a log and what it has written, line by line.
func open(t *testing.T, level string) (Log, func() []map[string]any) {
	t.Helper()
	var b bytes.Buffer
	l, err := New(&b, Options{Format: "json", Level: level})
	require.NoError(t, err)
	return l, func() (lines []map[string]any) {
		for _, line := range bytes.Split(bytes.TrimSpace(b.Bytes()), []byte("\n")) {
			if len(line) == 0 {
				continue
			}
			var m map[string]any
			require.NoError(t, json.Unmarshal(line, &m), string(line))
			lines = append(lines, m)
		}
		b.Reset()
		return lines
	}
}

// The vocabulary is closed: every constant of type Event has a text of its
// own, and nothing else has.
func TestVocabularyIsClosed(t *testing.T) {
	f, err := parser.ParseFile(token.NewFileSet(), "event.go", nil, 0)
	require.NoError(t, err)
	declared := map[Event]bool{}
	ast.Inspect(f, func(n ast.Node) bool {
		v, ok := n.(*ast.ValueSpec)
		if !ok || len(v.Values) != 1 {
			return true
		}
		if typ, ok := v.Type.(*ast.Ident); !ok || typ.Name != "Event" {
			return true
		}
		name, err := strconv.Unquote(v.Values[0].(*ast.BasicLit).Value)
		require.NoError(t, err)
		require.False(t, declared[Event(name)], "%s is declared twice", name)
		declared[Event(name)] = true
		return true
	})
	require.NotEmpty(t, declared)
	texts := map[string]Event{}
	for e, s := range text {
		require.True(t, declared[e], "%s is no constant", e)
		require.Regexp(t, regexp.MustCompile(`^[a-z]+(_[a-z]+)*$`), string(e))
		require.NotEmpty(t, s)
		require.Empty(t, texts[s], "%s and %s have the same text", e, texts[s])
		texts[s] = e
	}
	for e := range declared {
		require.Contains(t, text, e)
	}
}

func TestLineHasEventTextLevelAndFields(t *testing.T) {
	l, lines := open(t, "debug")
	fields := Fields{"room": "lobby"}
	l.Info(Joined, fields)
	got := lines()
	require.Len(t, got, 1)
	require.Equal(t, "joined", got[0]["event"])
	require.Equal(t, "member joined", got[0]["message"])
	require.Equal(t, "info", got[0]["level"])
	require.Equal(t, "lobby", got[0]["room"])
	require.Len(t, fields, 1, "the caller's fields were changed")
}

func TestLevels(t *testing.T) {
	for level, want := range map[string]int{"debug": 4, "info": 3, "warn": 2, "error": 1} {
		l, lines := open(t, level)
		l.Debug(Joined, nil)
		l.Info(Joined, nil)
		l.Warn(Ghost, nil)
		l.Error(ActorFailed, nil)
		require.Len(t, lines(), want, level)
		require.Equal(t, want >= 3, l.On(logrus.InfoLevel), level)
	}
}

func TestOptionsAreChecked(t *testing.T) {
	_, err := New(&bytes.Buffer{}, Options{Format: "xml", Level: "info"})
	require.ErrorContains(t, err, "xml")
	_, err = New(&bytes.Buffer{}, Options{Format: "json", Level: "loud"})
	require.ErrorContains(t, err, "loud")
}

func TestTextFormat(t *testing.T) {
	var b bytes.Buffer
	l, err := New(&b, Options{Format: "text", Level: "info"})
	require.NoError(t, err)
	l.Info(Listening, Fields{"address": "127.0.0.1:1", "token": "abc"})
	require.Contains(t, b.String(), "event=listening")
	require.NotContains(t, b.String(), "abc")
	Discard().Error(Unexpected, nil)
}

// Of an event, 100 lines in a second are written and then every hundredth,
// which says how many were left out; each event and each second by itself.
func TestRepeatedLinesAreSampled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, lines := open(t, "debug")
		for range 350 {
			l.Info(Joined, nil)
		}
		got := lines()
		require.Len(t, got, 102)
		require.NotContains(t, got[99], "skipped")
		require.EqualValues(t, 99, got[100]["skipped"])
		require.EqualValues(t, 99, got[101]["skipped"])
		l.Info(Left, nil)
		require.Len(t, lines(), 1, "another event is counted with this one")
		time.Sleep(time.Second)
		l.Info(Joined, nil)
		got = lines()
		require.Len(t, got, 1)
		require.EqualValues(t, 50, got[0]["skipped"], "what the last second left out is told by the next line")
	})
}

func TestWarningsAreNeverSampled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, lines := open(t, "info")
		for range 500 {
			l.Warn(Ghost, nil)
			l.Error(ActorFailed, nil)
		}
		require.Len(t, lines(), 1000)
	})
}

func TestSecretsAreRedacted(t *testing.T) {
	l, lines := open(t, "debug")
	f := Fields{"room": "lobby"}
	for _, name := range secret {
		f[name] = "hush"
	}
	l.Warn(Refused, f)
	got := lines()[0]
	for _, name := range secret {
		require.Equal(t, "[redacted]", got[name], name)
	}
	require.Equal(t, "lobby", got["room"])
	require.Equal(t, "hush", f["token"], "the caller's fields were changed")
}

type pid struct{ id string }

func (p *pid) GetId() string { return p.id } //nolint:staticcheck // as protoactor spells it

type rude struct{}

func (rude) Error() string { panic("rude") }

type sly struct{ Secret string }

func (s sly) LogValue() slog.Value { return slog.AnyValue(struct{ Secret string }{s.Secret}) }

type angry struct{}

func (angry) LogValue() slog.Value { panic("angry") }

// A library's lines come one level down, as two events, with types in the
// place of values that may hold what a client sent.
func TestSlogBridge(t *testing.T) {
	l, lines := open(t, "debug")
	s := l.Slog().With("lib", "x").WithGroup("g")
	s.Info("[DeadLetter]", "pid", &pid{"lobby/r"}, "message", struct{ Text string }{"hush"}, "sender", nil)
	s.Error("broken", "reason", errors.New("no disk"), "n", 7, slog.Group("more", "secret", "hush"))
	s.Warn("hm", "v", sly{"hush"})
	got := lines()
	require.Len(t, got, 3)
	require.Equal(t, "dead_letter", got[0]["event"])
	require.Equal(t, "debug", got[0]["level"])
	require.Equal(t, "lobby/r", got[0]["pid"])
	require.Equal(t, "struct { Text string }", got[0]["message_type"])
	require.Equal(t, "x", got[0]["lib"])
	require.Equal(t, "actor_system", got[1]["event"])
	require.Equal(t, "warning", got[1]["level"])
	require.Equal(t, "no disk", got[1]["reason"])
	require.Equal(t, "debug", got[2]["level"])
	for _, line := range got {
		for name, v := range line {
			require.NotContains(t, fmt.Sprint(v), "hush", name)
		}
	}
}

// It is called from within protoactor's recovery: a panic there would end the
// process.
func TestSlogBridgeNeverPanics(t *testing.T) {
	l, lines := open(t, "debug")
	s := l.Slog()
	require.NotPanics(t, func() {
		s.Error("x", "err", rude{})
		s.Error("x", "v", angry{})
		s.Error("x", "f", func() {}, "c", make(chan int), "p", (*pid)(nil))
		s.Error("x", "k", slog.GroupValue())
		s.Error("")
	})
	require.NotEmpty(t, lines())
}

// With the level up, the library's chatter is not even put together.
func TestSlogBridgeIsOffAboveDebug(t *testing.T) {
	l, lines := open(t, "info")
	require.False(t, l.Slog().Enabled(t.Context(), slog.LevelInfo))
	l.Slog().Info("chatter")
	require.Empty(t, lines())
	l.Slog().Error("trouble")
	require.Len(t, lines(), 1)
}
