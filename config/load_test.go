package config

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"
)

var update = flag.Bool("update", false, "rewrite the golden files and docs/configuration.md")

// wantGolden compares got with a file, or writes the file with -update.
func wantGolden(t *testing.T, path, got string) {
	t.Helper()
	if *update {
		require.NoError(t, os.WriteFile(path, []byte(got), 0o644))
	}
	want, err := os.ReadFile(path)
	require.NoError(t, err)
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s is stale; run go test ./config -update and look at what changed (-file +now):\n%s", path, diff)
	}
}

// writeFile puts a configuration file where the test can name it.
func writeFile(t *testing.T, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "rollcall.yaml")
	require.NoError(t, os.WriteFile(path, []byte(content), 0o600))
	return path
}

// mustLoad loads sources that have nothing wrong.
func mustLoad(t *testing.T, src Sources) *Loaded {
	t.Helper()
	loaded, err := Load(src)
	require.NoError(t, err)
	return loaded
}

// problemsOf returns what is wrong with the sources, nil if nothing is.
func problemsOf(src Sources) []string {
	_, err := Load(src)
	var problems Problems
	if !errors.As(err, &problems) {
		return nil
	}
	var lines []string
	for _, p := range problems {
		lines = append(lines, p.String())
	}
	return lines
}

func TestNothingGivenIsTheDefault(t *testing.T) {
	loaded := mustLoad(t, Sources{})
	require.Equal(t, Default(), loaded.Config)
	require.Empty(t, loaded.Config.Validate())
	require.Empty(t, loaded.Origin)
}

func TestAStrongerSourceWins(t *testing.T) {
	file := writeFile(t, "drain: 1s\nlog: {level: debug}\nroom: {history: 7}\n")
	loaded := mustLoad(t, Sources{
		File:    file,
		Environ: []string{"ROLLCALL_DRAIN=2s", "ROLLCALL_LOG_LEVEL=warn"},
		Flags:   map[string][]string{"drain": {"3s"}},
	})
	require.Equal(t, 3*time.Second, loaded.Config.Drain, "flag over variable over file")
	require.Equal(t, "warn", loaded.Config.Log.Level, "variable over file")
	require.Equal(t, 7, loaded.Config.Room.History, "file over default")
	require.Equal(t, map[string]string{
		"drain":        "--drain",
		"log.level":    "ROLLCALL_LOG_LEVEL",
		"room.history": file + ":3:17",
	}, loaded.Origin)
}

func TestEveryMistakeInOneFileIsToldAtOnce(t *testing.T) {
	path := filepath.Join("testdata", "everything_wrong.yaml")
	problems := problemsOf(Sources{
		File:    path,
		Environ: []string{"ROLLCALL_DRAIN=soon", "ROLLCALL_LOG_LEVEL=inf"},
		Flags:   map[string][]string{"heartbeat.timeout": {"0"}},
	})
	wantGolden(t, filepath.Join("testdata", "everything_wrong.golden"), strings.Join(problems, "\n")+"\n")
}

func TestWhatIsNotAFileOfSettings(t *testing.T) {
	huge := writeFile(t, "listen: ':80'\n"+strings.Repeat("# filler\n", maxFileBytes/9+1))
	for name, c := range map[string]struct{ content, want string }{
		"empty":                       {"", ""},
		"only comments":               {"# listen: ':80'\n", ""},
		"an empty document":           {"---\n...\n", ""},
		"a section all commented out": {"session:\n  # idle_after: 1m\n", ""},
		"JSON":                        {`{"session": {"idle_after": "1m"}, "origins": ["*"]}`, ""},
		"a byte order mark":           {"\ufefflisten: ':80'\n", ""},
		"an anchor used again":        {"room: {linger: &short 1m, audit: *short}\n", ""},
		"a list":                      {"- listen\n", ":1:1: must be a mapping of settings, is a list"},
		"a word":                      {"listen\n", ":1:1: must be a mapping of settings, is a single value"},
		"two documents":               {"drain: 1s\n---\ndrain: 2s\n", ":2:1: a second document, must be a single one"},
		"an unclosed bracket":         {"drain: 1s\norigins: [a\n", ":3:1: not YAML:"},
		"a tab":                       {"session:\n\tidle_after: 1m\n", ":2:1: not YAML:"},
		"an alias of nothing":         {"drain: 1s\napi: {keys: [*my-secret-begins-with-a-star]}\n", ":2:14: not YAML: an alias without its anchor; quote a value that begins with *"},
		"not text":                    {"\x00\x01\x02", ": not YAML: "},
	} {
		t.Run(name, func(t *testing.T) {
			path := writeFile(t, c.content)
			problems := problemsOf(Sources{File: path})
			if c.want == "" {
				require.Empty(t, problems)
				return
			}
			require.Len(t, problems, 1)
			require.Contains(t, problems[0], c.want)
			require.NotContains(t, problems[0], "my-secret")
		})
	}
	require.Equal(t, []string{huge + ": is longer than 1MiB"}, problemsOf(Sources{File: huge}))
	require.Equal(t, []string{"no/such.yaml: no such file or directory"}, problemsOf(Sources{File: "no/such.yaml"}))
	require.Equal(t, []string{os.TempDir() + ": is a directory"}, problemsOf(Sources{File: os.TempDir()}))
}

// samples has a good value for every knob that differs from its default, as it
// is written anywhere.
var samples = map[string]struct {
	text  string
	value any
}{
	"listen":                   {"[::1]:9000", "[::1]:9000"},
	"origins":                  {"https://a.example,https://*.b.example:8443", []string{"https://a.example", "https://*.b.example:8443"}},
	"drain":                    {"0", time.Duration(0)},
	"tls.cert":                 {"cert.pem", "cert.pem"},
	"tls.key":                  {"key.pem", "key.pem"},
	"api.keys":                 {"0123456789abcdef,fedcba9876543210", []string{"0123456789abcdef", "fedcba9876543210"}},
	"auth.mode":                {"none", "none"}, // the only mode there is
	"session.idle_after":       {"1m30s", 90 * time.Second},
	"session.disconnect_after": {"2h", 2 * time.Hour},
	"session.max_age":          {"24h", 24 * time.Hour},
	"session.resume_window":    {"30s", 30 * time.Second},
	"session.reload_grace":     {"3s", 3 * time.Second},
	"session.per_user":         {"newest", "newest"},
	"heartbeat.interval":       {"10ms", 10 * time.Millisecond},
	"heartbeat.timeout":        {"1.5s", 1500 * time.Millisecond},
	"admission.rate":           {"600", 600.0},
	"admission.address_rate":   {"0", 0.0},
	"admission.burst":          {"1m", time.Minute},
	"limits.message_bytes":     {"2KiB", 2048},
	"limits.outbound_bytes":    {"1MiB", 1 << 20},
	"limits.publish_rate":      {"0.5", 0.5},
	"limits.update_rate":       {"0", 0.0},
	"limits.signal_rate":       {"1e3", 1000.0},
	"limits.request_rate":      {"7", 7.0},
	"limits.error_rate":        {"8", 8.0},
	"limits.connections":       {"15000", 15000},
	"limits.pending":           {"9", 9},
	"limits.rooms":             {"1", 1},
	"limits.room_members":      {"50", 50},
	"limits.room_observers":    {"0", 0},
	"limits.room_bans":         {"20", 20},
	"limits.bans":              {"200", 200},
	"limits.room_queue":        {"8", 8},
	"limits.rooms_per_session": {"3", 3},
	"limits.fragments":         {"4", 4},
	"limits.control_rate":      {"5", 5.0},
	"limits.handshake_bytes":   {"16384", 16384},
	"limits.handshake_timeout": {"1s", time.Second},
	"presence.full_max":        {"0", 0},
	"presence.list_max":        {"20000", 20000},
	"presence.interval":        {"1s", time.Second},
	"room.linger":              {"0", time.Duration(0)},
	"room.history":             {"0", 0},
	"room.history_bytes":       {"64 KiB", 65536},
	"room.timeline":            {"0", 0},
	"room.audit":               {"10s", 10 * time.Second},
	"transport.mode":           {"goroutine", "goroutine"},
	"transport.loops":          {"2", 2},
	"transport.send_buffer":    {"4KiB", 4096},
	"transport.user_timeout":   {"1m", time.Minute},
	"transport.close_timeout":  {"500ms", 500 * time.Millisecond},
	"stomp.routes":             {"/app/hello=/topic/greetings,/app/=/topic/", []string{"/app/hello=/topic/greetings", "/app/=/topic/"}},
	"sockjs.prefixes":          {"/sockjs,/a/ws-endpoint", []string{"/sockjs", "/a/ws-endpoint"}},
	"sockjs.heartbeat":         {"1s", time.Second},
	"sockjs.disconnect_delay":  {"30s", 30 * time.Second},
	"sockjs.first_frame":       {"3s", 3 * time.Second},
	"sockjs.response_limit":    {"4KiB", 4096},
	"sockjs.client_url":        {"https://cdn.example.com/sockjs.js", "https://cdn.example.com/sockjs.js"},
	"sockjs.websocket":         {"off", "off"},
	"sockjs.cookie":            {"on", "on"},
	"log.format":               {"text", "text"},
	"log.level":                {"debug", "debug"},
}

func TestEveryKnobThroughEverySource(t *testing.T) {
	for k := range knobs() {
		sample, ok := samples[k.path]
		require.True(t, ok, "no sample for %s", k.path)

		inFile := sample.text
		if k.kind == list {
			inFile = "[" + sample.text + "]"
		}
		if k.kind == text {
			inFile = fmt.Sprintf("%q", sample.text)
		}
		content := fmt.Sprintf("%s: %s\n", k.key(), inFile)
		if section, _, nested := strings.Cut(k.path, "."); nested {
			content = fmt.Sprintf("%s:\n  %s: %s\n", section, k.key(), inFile)
		}
		sources := map[string]Sources{
			"file":     {File: writeFile(t, content)},
			"variable": {Environ: []string{k.env() + "=" + sample.text}},
			"flag":     {Flags: map[string][]string{k.flag(): {sample.text}}},
		}
		if k.secret {
			sources["secret file"] = Sources{Environ: []string{k.env() + "_FILE=" + writeFile(t, strings.ReplaceAll(sample.text, ",", "\n")+"\n")}}
		}
		for name, src := range sources {
			// The other half of the certificate, so that the rule about both holds.
			for _, half := range []string{"ROLLCALL_TLS_CERT", "ROLLCALL_TLS_KEY"} {
				if strings.HasPrefix(k.path, "tls.") && half != k.env() {
					src.Environ = append(src.Environ, half+"=other.pem")
				}
			}
			t.Run(k.path+" by "+name, func(t *testing.T) {
				loaded := mustLoad(t, src)
				require.Equal(t, sample.value, k.get(&loaded.Config))
				require.NotEmpty(t, loaded.Origin[k.path])
				require.Empty(t, loaded.Config.Validate())
			})
		}
	}
	require.Len(t, samples, knobCount(), "a sample without its knob")
}

func knobCount() int {
	n := 0
	for range knobs() {
		n++
	}
	return n
}

func TestNamesFollowFromThePath(t *testing.T) {
	k := find("limits.rooms_per_session")
	require.Equal(t, "ROLLCALL_LIMITS_ROOMS_PER_SESSION", k.env())
	require.Equal(t, "limits.rooms-per-session", k.flag())
	require.Equal(t, "rooms_per_session", k.key())
}

func TestVariables(t *testing.T) {
	key, keyFile := "ROLLCALL_API_KEYS", "ROLLCALL_API_KEYS_FILE"
	secrets := writeFile(t, "0123456789abcdef\r\n\nfedcba9876543210,aaaaaaaaaaaaaaaa\n")

	t.Run("an empty one counts as not set", func(t *testing.T) {
		require.Equal(t, Default(), mustLoad(t, Sources{Environ: []string{"ROLLCALL_DRAIN=", "ROLLCALL_LISTEN"}}).Config)
	})
	t.Run("a secret's file has an item on each line", func(t *testing.T) {
		loaded := mustLoad(t, Sources{Environ: []string{keyFile + "=" + secrets}})
		require.Equal(t, []string{"0123456789abcdef", "fedcba9876543210", "aaaaaaaaaaaaaaaa"}, loaded.Config.API.Keys)
		require.Equal(t, keyFile, loaded.Origin["api.keys"])
	})
	t.Run("a secret comes one way or the other", func(t *testing.T) {
		require.Equal(t, []string{key + ": is set together with " + keyFile + ", must be one of them"},
			problemsOf(Sources{Environ: []string{key + "=0123456789abcdef", keyFile + "=" + secrets}}))
	})
	t.Run("a secret's file must be there", func(t *testing.T) {
		require.Equal(t, []string{keyFile + ": no/keys: no such file or directory"}, problemsOf(Sources{Environ: []string{keyFile + "=no/keys"}}))
	})
	t.Run("only secrets have a file", func(t *testing.T) {
		require.Len(t, mustLoad(t, Sources{Environ: []string{"ROLLCALL_LISTEN_FILE=x"}}).Warnings, 1)
	})
	t.Run("unknown ones are warned of, with a suggestion where one is near", func(t *testing.T) {
		loaded := mustLoad(t, Sources{Environ: []string{
			"ROLLCALL_SERVICE_HOST=10.0.0.1", "ROLLCALL_SESSION_IDLE=1m", "ROLLCALL_CONFIG=x.yaml", "PATH=/bin", "ROLLCALLX=1",
		}})
		require.Equal(t, []Problem{
			{"ROLLCALL_SERVICE_HOST", "no such setting, ignored"},
			{"ROLLCALL_SESSION_IDLE", `no such setting, ignored; did you mean "ROLLCALL_SESSION_IDLE_AFTER"?`},
		}, loaded.Warnings)
	})
}

func TestFlagsOfAListAddUpOthersReplace(t *testing.T) {
	loaded := mustLoad(t, Sources{Flags: map[string][]string{
		"origins": {"https://a.example, https://b.example,", "https://c.example"},
		"drain":   {"1s", "2s"},
	}})
	require.Equal(t, []string{"https://a.example", "https://b.example", "https://c.example"}, loaded.Config.Origins)
	require.Equal(t, 2*time.Second, loaded.Config.Drain)

	empty := mustLoad(t, Sources{Environ: []string{"ROLLCALL_ORIGINS=*"}, Flags: map[string][]string{"origins": {""}}})
	require.Empty(t, empty.Config.Origins, "an empty flag empties the list")
}

func TestADefaultGivesWayToWhatWasSet(t *testing.T) {
	for _, c := range []struct {
		story, set string
		path       string
		want       any
	}{
		{"disconnecting sooner than idle", "ROLLCALL_SESSION_DISCONNECT_AFTER=2s", "session.idle_after", time.Second},
		{"idle later than disconnected", "ROLLCALL_SESSION_IDLE_AFTER=1h", "session.disconnect_after", 2 * time.Hour},
		{"messages longer than the queue", "ROLLCALL_LIMITS_MESSAGE_BYTES=1MiB", "limits.outbound_bytes", 1 << 20},
		{"a queue shorter than a message", "ROLLCALL_LIMITS_OUTBOUND_BYTES=16KiB", "limits.message_bytes", 16 << 10},
	} {
		t.Run(c.story, func(t *testing.T) {
			loaded := mustLoad(t, Sources{Environ: []string{c.set}})
			require.Equal(t, c.want, find(c.path).get(&loaded.Config))
			require.Contains(t, loaded.Origin[c.path], "default, to fit ")
			require.Empty(t, loaded.Config.Validate())
		})
	}
	for _, c := range []struct {
		story, want string
		set         []string
	}{
		{
			"both were set", `ROLLCALL_SESSION_IDLE_AFTER: session.idle_after = 10s, must be less than session.disconnect_after (10s)`,
			[]string{"ROLLCALL_SESSION_IDLE_AFTER=10s", "ROLLCALL_SESSION_DISCONNECT_AFTER=10s"},
		},
		{
			"no room to give way", `ROLLCALL_SESSION_DISCONNECT_AFTER: session.idle_after = 5m, must be less than session.disconnect_after (15ms)`,
			[]string{"ROLLCALL_SESSION_DISCONNECT_AFTER=15ms"},
		},
		{
			"both were set", `ROLLCALL_LIMITS_OUTBOUND_BYTES: limits.outbound_bytes = 4KiB, must be at least limits.message_bytes (8KiB)`,
			[]string{"ROLLCALL_LIMITS_OUTBOUND_BYTES=4KiB", "ROLLCALL_LIMITS_MESSAGE_BYTES=8KiB"},
		},
		{
			"half a certificate", `ROLLCALL_TLS_KEY: tls.cert = "", must be set together with tls.key ("k.pem")`,
			[]string{"ROLLCALL_TLS_KEY=k.pem"},
		},
		{
			"no word about a value that is bad already", `ROLLCALL_SESSION_IDLE_AFTER: session.idle_after = "x", must be a duration such as 1m30s, or 0 (off)`,
			[]string{"ROLLCALL_SESSION_IDLE_AFTER=x", "ROLLCALL_SESSION_DISCONNECT_AFTER=1s"},
		},
	} {
		t.Run(c.story, func(t *testing.T) {
			require.Equal(t, []string{c.want}, problemsOf(Sources{Environ: c.set}))
		})
	}
}
