package config

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// parse runs Parse on a line whose words have no spaces in them.
func parse(line string, environ ...string) (cmd Command, stdout, stderr string) {
	var out, errs bytes.Buffer
	cmd = Parse(strings.Fields(line), environ, &out, &errs)
	return cmd, out.String(), errs.String()
}

func TestCommandsThatRunElsewhere(t *testing.T) {
	for _, c := range []struct {
		line    string
		environ []string
		want    Command
	}{
		{"version", nil, Version{}},
		{"version --json", nil, Version{JSON: true}},
		{"version", []string{"ROLLCALL_LISTEN=nonsense"}, Version{}}, // works when nothing else does
		{"chat lobby", nil, Chat{Room: "lobby", URL: "ws://127.0.0.1:8080/ws"}},
		{"chat lobby --url wss://chat.example.com/ws --user kim --name Kim", nil, Chat{"lobby", "wss://chat.example.com/ws", "kim", "Kim", false}},
		{"chat --user=kim -- --odd-room", nil, Chat{"--odd-room", "ws://127.0.0.1:8080/ws", "kim", "", false}},
		{"chat lobby --observe", nil, Chat{Room: "lobby", URL: "ws://127.0.0.1:8080/ws", Observe: true}},
		{"bench all --short", nil, Bench{Scenarios: []string{"all"}, Short: true}},
		{"bench idle fanout --rounds 7 --driver rollcall --driver ws --centrifugo /opt/c --report r.md", nil, Bench{
			Scenarios: []string{"idle", "fanout"}, Rounds: 7, Drivers: []string{"rollcall", "ws"}, Centrifugo: "/opt/c", Report: "r.md",
		}},
		{"healthcheck", nil, Healthcheck{"http://127.0.0.1:8080/healthz", true}},
		{"healthcheck", []string{"ROLLCALL_LISTEN=:9000"}, Healthcheck{"http://127.0.0.1:9000/healthz", true}},
		{"healthcheck --listen=0.0.0.0:9000", nil, Healthcheck{"http://127.0.0.1:9000/healthz", true}},
		{"healthcheck --listen=[::]:9000 --tls.cert=c --tls.key=k", nil, Healthcheck{"https://[::1]:9000/healthz", true}},
		{"healthcheck --listen=host.example:80", nil, Healthcheck{"http://host.example:80/healthz", true}},
		{"healthcheck --url https://chat.example.com/healthz", []string{"ROLLCALL_LISTEN=:0"}, Healthcheck{"https://chat.example.com/healthz", false}},
		{"why lobby ann", nil, Why{Room: "lobby", User: "ann", URL: "http://127.0.0.1:8080", SkipVerify: true}},
		{"why lobby ann --json --listen=:9000 --tls.cert=c --tls.key=k", nil, Why{Room: "lobby", User: "ann", URL: "https://127.0.0.1:9000", SkipVerify: true, JSON: true}},
		{"why lobby ann --url https://chat.example.com/", []string{"ROLLCALL_LISTEN=:0", "ROLLCALL_API_KEYS=0123456789abcdef,fedcba9876543210"}, Why{Room: "lobby", User: "ann", URL: "https://chat.example.com", Key: "0123456789abcdef"}},
	} {
		t.Run(c.line, func(t *testing.T) {
			cmd, stdout, stderr := parse(c.line, c.environ...)
			require.Equal(t, c.want, cmd)
			require.Empty(t, stdout+stderr)
		})
	}
}

func TestServeIsTheDefaultCommand(t *testing.T) {
	for _, line := range []string{"--session.idle-after=1m", "serve --session.idle-after 1m", "--session.idle-after=9m --session.idle-after=1m"} {
		cmd, _, stderr := parse(line, "ROLLCALL_DRIAN=1s")
		serve, ok := cmd.(Serve)
		require.True(t, ok, "%s: %v %s", line, cmd, stderr)
		require.Equal(t, time.Minute, serve.Config.Session.IdleAfter)
		require.Equal(t, "--session.idle-after", serve.Origin["session.idle_after"])
		require.Len(t, serve.Warnings, 1, "for the log")
		require.Empty(t, stderr)
	}
	cmd, _, _ := parse("")
	require.Equal(t, Default(), cmd.(Serve).Config)
}

func TestWhichFileIsRead(t *testing.T) {
	one, two := writeFile(t, "drain: 1s\n"), writeFile(t, "drain: 2s\n")
	for _, c := range []struct {
		story, line string
		environ     []string
		want        time.Duration
	}{
		{"none", "", nil, 5 * time.Second},
		{"by variable", "", []string{"ROLLCALL_CONFIG=" + one}, time.Second},
		{"by flag", "-c " + one, nil, time.Second},
		{"the flag is stronger", "serve --config=" + two, []string{"ROLLCALL_CONFIG=" + one}, 2 * time.Second},
		{"an empty flag for none at all", "--config=", []string{"ROLLCALL_CONFIG=" + one}, 5 * time.Second},
	} {
		t.Run(c.story, func(t *testing.T) {
			cmd, _, stderr := parse(c.line, c.environ...)
			require.Empty(t, stderr)
			require.Equal(t, c.want, cmd.(Serve).Config.Drain)
		})
	}
}

func TestEveryKnobIsAFlagOfEveryCommandThatReadsThem(t *testing.T) {
	_, help, _ := parse("serve --help")
	for k := range knobs() {
		require.Contains(t, help, "--"+k.flag()+"=")
	}
	for _, command := range []string{"serve", "config check", "config print", "healthcheck", "why lobby ann"} {
		line := command
		for k := range knobs() {
			line += " --" + k.flag() + "=" + strings.ReplaceAll(samples[k.path].text, " ", "")
		}
		cmd, _, stderr := parse(line)
		require.Empty(t, stderr)
		if serve, ok := cmd.(Serve); ok {
			for k := range knobs() {
				require.Equal(t, samples[k.path].value, k.get(&serve.Config), k.path)
			}
		}
	}
}

func TestHelpIsShortExceptForServe(t *testing.T) {
	t.Setenv("COLUMNS", "80")
	for _, line := range []string{"--help", "-h", "config --help", "config check --help", "chat --help", "healthcheck --help", "why --help", "bench --help"} {
		cmd, stdout, stderr := parse(line)
		require.Equal(t, Done{0}, cmd)
		require.Contains(t, stdout, "Usage: rollcall")
		require.Less(t, strings.Count(stdout, "\n"), 40, line)
		require.Empty(t, stderr)
	}
}

func TestLinesThatMakeNoSense(t *testing.T) {
	const try = "\nTry \"rollcall --help\", or \"rollcall serve --help\" for the settings\n"
	for _, c := range []struct{ line, want string }{
		{"srve", `rollcall: unknown command "srve"; did you mean "serve"?` + try},
		{"config chek", `rollcall: unexpected argument chek, did you mean "check"?` + try},
		{"config", `rollcall: expected one of "check", "print", "schema"` + try},
		{"chat", `rollcall: expected "<room>"` + try},
		{"bench", `rollcall: expected "<scenarios> ..."` + try},
		{"why lobby", `rollcall: expected "<user>"` + try},
		{"why lobby ann --url chat.example.com", "--url: url = \"chat.example.com\", must be an address that begins with http:// or https://\n"},
		{"serve lobby", `rollcall: unexpected argument lobby` + try},
		{"--drian=1s", "--drian: unknown flag; did you mean \"--drain\"?\n"},
		{"--bogus", "--bogus: unknown flag\n"},
		{"--idle-after 1m", "--idle-after: unknown flag; did you mean \"--session.idle-after\"?\n"},
		{"version --jsn", "--jsn: unknown flag; did you mean \"--json\"?\n"},
		{"version --drain=1s", `rollcall: unknown flag --drain` + try},
		{"--drain", `rollcall: --drain: needs a value; write FLAG=VALUE when the value begins with a dash` + try},
		{"--api.keys -correct-horse", `rollcall: --api.keys: needs a value; write FLAG=VALUE when the value begins with a dash` + try},
		{"chat lobby --url http://x", "--url: url = \"http://x\", must be an address that begins with ws:// or wss://\n"},
		{"healthcheck --url chat.example.com", "--url: url = \"chat.example.com\", must be an address that begins with http:// or https://\n"},
		{
			"config check --drian=1s --log.level=inf --sesion.idle-after=1m",
			"--drian: unknown flag; did you mean \"--drain\"?\n" +
				"--sesion.idle-after: unknown flag; did you mean \"--session.idle-after\"?\n" +
				"--log.level: log.level = \"inf\", must be debug, info, warn or error; did you mean \"info\"?\n",
		},
	} {
		t.Run(c.line, func(t *testing.T) {
			cmd, stdout, stderr := parse(c.line)
			require.Equal(t, Done{2}, cmd)
			require.Equal(t, c.want, stderr)
			require.Empty(t, stdout)
		})
	}
}

func TestABadConfigurationEndsEveryCommandThatReadsIt(t *testing.T) {
	for _, command := range []string{"", "serve", "config check", "config print", "healthcheck", "why lobby ann"} {
		cmd, stdout, stderr := parse(command, "ROLLCALL_DRAIN=1h", "ROLLCALL_LISTEN=nowhere")
		require.Equal(t, Done{1}, cmd)
		require.Empty(t, stdout)
		require.Equal(t, "ROLLCALL_LISTEN: listen = \"nowhere\", must be host:port, such as 127.0.0.1:8080 or :8080\n"+
			"ROLLCALL_DRAIN: drain = 1h, must be at most 10m\n", stderr)
	}
	for _, command := range []string{"healthcheck", "why lobby ann"} {
		cmd, _, stderr := parse(command + " --listen=:0")
		require.Equal(t, Done{1}, cmd)
		require.Contains(t, stderr, "name it with --url")
	}
}

func TestConfigCommandsAnswerThemselves(t *testing.T) {
	file := writeFile(t, "drain: 1s\nlimits: {message_bytes: 1MiB}\n")
	t.Run("check", func(t *testing.T) {
		cmd, stdout, stderr := parse("config check -c "+file, "ROLLCALL_DRIAN=1")
		require.Equal(t, Done{0}, cmd)
		require.Equal(t, fmt.Sprintf("configuration ok: 2 of %d settings given, the others are defaults\n", len(slices.Collect(knobs()))), stdout)
		require.Equal(t, "warning: ROLLCALL_DRIAN: no such setting, ignored; did you mean \"ROLLCALL_DRAIN\"?\n", stderr)
	})
	t.Run("print", func(t *testing.T) {
		cmd, stdout, _ := parse("config print -c " + file)
		require.Equal(t, Done{0}, cmd)
		require.Contains(t, stdout, "\ndrain: 1s\n")
		require.NotContains(t, stdout, "#")

		_, stdout, _ = parse("config print --origin --log.level=warn -c " + file)
		require.Contains(t, stdout, "\ndrain: 1s # "+file+":1:8\n")
		require.Contains(t, stdout, "  level: warn # --log.level\n")
		require.Contains(t, stdout, "listen: 127.0.0.1:8080 # default\n")
	})
	t.Run("schema", func(t *testing.T) {
		cmd, stdout, _ := parse("config schema", "ROLLCALL_DRAIN=nonsense")
		require.Equal(t, Done{0}, cmd)
		want, err := Schema()
		require.NoError(t, err)
		require.Equal(t, string(want), stdout)
	})
	t.Run("an answer that can't be written", func(t *testing.T) {
		var stderr bytes.Buffer
		require.Equal(t, Done{1}, Parse([]string{"config", "print"}, nil, brokenPipe{}, &stderr))
		require.Equal(t, "broken pipe\n", stderr.String())
	})
}

type brokenPipe struct{}

func (brokenPipe) Write([]byte) (int, error) { return 0, errors.New("broken pipe") }
