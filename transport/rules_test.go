package transport

import (
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
)

func TestReadClose(t *testing.T) {
	for _, x := range []struct {
		name, payload string
		code          uint16
		bad           Breach
	}{
		{"without code", "", 1005, noBreach},
		{"half a code", "\x03", 0, BreachClose},
		{"normal", "\x03\xe8", 1000, noBreach},
		{"registered after the RFC", "\x03\xf4", 1012, noBreach},
		{"of an application", "\x0f\xa0", 4000, noBreach},
		{"1005 may not be sent", "\x03\xed", 0, BreachClose},
		{"1006 may not be sent", "\x03\xee", 0, BreachClose},
		{"not defined", "\x07\xd0", 0, BreachClose},
		{"beyond all ranges", "\x13\x88", 0, BreachClose},
		{"reason", "\x03\xe8bye \xe2\x82\xac", 1000, noBreach},
		{"reason that is not UTF-8", "\x03\xe8\xff", 0, BreachUTF8},
	} {
		code, bad := readClose([]byte(x.payload))
		require.Equal(t, x.bad, bad, x.name)
		require.Equal(t, x.code, code, x.name)
	}
}

// What we send is what we would accept, whatever is asked for.
func TestAppendClose(t *testing.T) {
	for code := range 5100 {
		for _, reason := range []string{"", "bye", strings.Repeat("x", 123), strings.Repeat("x", 124), strings.Repeat("€", 60), "\xff", "x" + strings.Repeat("😀", 40)} {
			frame := appendClose(nil, sendable(uint16(code)), reason)
			h, n, ok := parseHeader(frame)
			require.True(t, ok)
			require.LessOrEqual(t, h.Length, int64(125))
			require.Len(t, frame, n+int(h.Length))
			got, bad := readClose(frame[n:])
			require.Equal(t, noBreach, bad, "%d %q", code, reason)
			if validCloseCode(uint16(code)) || code == 1005 {
				require.Equal(t, uint16(code), got)
			} else {
				require.Equal(t, uint16(1011), got)
			}
			if got != 1005 && len(reason) <= 123 && utf8.ValidString(reason) {
				require.Equal(t, reason, string(frame[n+2:]), "a reason that fits is sent whole")
			}
		}
	}
}

func TestClockFitsItsByte(t *testing.T) {
	for _, x := range []struct{ interval, timeout, closing time.Duration }{
		{0, 0, 2 * time.Second},
		{25 * time.Second, 10 * time.Second, 2 * time.Second},
		{20 * time.Millisecond, 20 * time.Millisecond, 2 * time.Second},
		{5 * time.Minute, time.Minute, 2 * time.Second},
		{24 * time.Hour, time.Second, time.Second},
		{time.Nanosecond, time.Nanosecond, time.Nanosecond},
	} {
		k := newClock(x.interval, x.timeout, x.closing)
		for _, d := range []struct {
			d     time.Duration
			ticks uint8
		}{{x.interval, k.interval}, {x.timeout, k.timeout}, {x.closing, k.closing}} {
			if d.d == 0 {
				require.Zero(t, d.ticks)
				continue
			}
			require.GreaterOrEqual(t, time.Duration(d.ticks-1)*k.tick, d.d, "never early: %+v", x)
			require.LessOrEqual(t, time.Duration(d.ticks-2)*k.tick, d.d, "nor much too late: %+v", x)
		}
	}
}

func TestHeartbeatRule(t *testing.T) {
	for _, x := range []struct {
		name   string
		phase  phase
		pinged bool
		want   due
	}{
		{"quiet", open, false, duePing},
		{"quiet after our ping", open, true, dueSilent},
		{"our close frame is not answered", closing, false, dueCut},
		{"the peer does not end its stream", finishing, true, dueCut},
		{"nothing more comes after a failed write", broken, false, dueCut},
		{"gone already", over, true, dueNothing},
	} {
		require.Equal(t, x.want, onZero(x.phase, x.pinged), x.name)
	}
}

func TestRate(t *testing.T) {
	second := int64(time.Second)
	r := newRate(5, time.Second, 10) // a second's worth is five, but ten are always let through
	var even int64
	for i := range 10 {
		require.True(t, r.allow(second, &even), "number %d at once", i+1)
	}
	require.False(t, r.allow(second, &even), "the eleventh")
	require.True(t, r.allow(2*second, &even), "a second later")
	for range 4 {
		require.True(t, r.allow(2*second, &even))
	}
	require.False(t, r.allow(2*second, &even), "five came back in a second, not six")

	var off int64
	for range 1000 {
		require.True(t, newRate(0, time.Second, 10).allow(1, &off), "no limit")
	}
}

func TestNamesAreDistinct(t *testing.T) {
	seen := map[string]bool{}
	add := func(kind, name string) {
		require.NotEqual(t, "unknown", name)
		require.False(t, seen[kind+name], "%s %s", kind, name)
		seen[kind+name] = true
	}
	for _, c := range Causes() {
		add("cause", c.String())
	}
	for _, b := range Breaches() {
		add("breach", b.String())
		require.True(t, validCloseCode(b.Code()))
		require.NotEmpty(t, b.Error())
	}
	for _, k := range RefusalKinds() {
		add("refusal", k.String())
	}
	require.Len(t, seen, int(causes)+int(breaches)-1+int(refusals))
}

func TestOptionsAreChecked(t *testing.T) {
	for _, x := range []struct {
		o    Options
		want string
	}{
		{Options{Mode: "poll"}, `Mode = "poll", must be "auto", "epoll" or "goroutine"`},
		{Options{Loops: -1}, "Loops = -1, must be at least 1"},
		{Options{MessageBytes: -5}, "MessageBytes = -5"},
		{Options{CloseTimeout: -time.Second}, "CloseTimeout = -1s, must not be negative"},
		{Options{HeartbeatInterval: time.Second}, "must both be 0 or neither"},
		{Options{ControlRate: -1}, "ControlRate = -1"},
	} {
		_, err := New(x.o)
		require.ErrorContains(t, err, x.want)
	}
}
