package config

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// anyConfig draws a valid configuration without secrets, which do not survive
// printing.
func anyConfig(t *rapid.T) Config {
	c := Default()
	for k := range knobs() {
		if !k.secret {
			k.set(&c, anyValue(t, k))
		}
	}
	if (c.TLS.Cert == "") != (c.TLS.Key == "") {
		c.TLS = TLS{}
	}
	if !relations[0].holds(&c) {
		c.Session.IdleAfter = 0
	}
	c.Limits.OutboundBytes = max(c.Limits.OutboundBytes, c.Limits.MessageBytes)
	return c
}

func anyValue(t *rapid.T, k *knob) any {
	word := rapid.SampledFrom([]string{"a.example", "https://*.b.example:8443", "*", "null", "true", "1e3", "it's", `"quoted"`, "comma,comma", "#hash", "{x}", "ключ"})
	draw := func() any {
		switch k.kind {
		case choice:
			return rapid.SampledFrom(k.options).Draw(t, k.path)
		case list:
			return append([]string(nil), rapid.SliceOfN(word, 0, 3).Draw(t, k.path)...)
		case text:
			if k.path == "listen" {
				return fmt.Sprintf("%s:%d", rapid.SampledFrom([]string{"", "[::1]", "10.0.0.1", "host"}).Draw(t, "host"), rapid.Uint16().Draw(t, "port"))
			}
			return rapid.OneOf(word, rapid.String(), rapid.Just("")).Draw(t, k.path)
		case duration:
			return time.Duration(rapid.Int64Range(int64(k.min), int64(k.max)).Draw(t, k.path))
		case rate:
			return rapid.Float64Range(k.min, k.max).Draw(t, k.path)
		default:
			return rapid.IntRange(int(k.min), int(k.max)).Draw(t, k.path)
		}
	}
	v := draw()
	if k.zero != "" && rapid.Bool().Draw(t, "0") {
		v = k.zeroValue()
	}
	if k.broken(v) != "" { // rules of its own: auth.mode, file names
		return k.def
	}
	return v
}

func (k *knob) zeroValue() any {
	v, _ := k.kind.parse("0")
	return v
}

func TestWhatIsPrintedLoadsAsTheSame(t *testing.T) {
	path := filepath.Join(t.TempDir(), "printed.yaml")
	rapid.Check(t, func(t *rapid.T) {
		want := anyConfig(t)
		require.Empty(t, want.Validate())
		origins := rapid.Bool().Draw(t, "origins")
		printed, err := (&Loaded{Config: want}).YAML(origins)
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(path, printed, 0o600))
		again, err := Load(Sources{File: path})
		require.NoError(t, err, "%s", printed)
		require.Equal(t, want, again.Config, "%s", printed)
	})
}

func TestPrintSaysWhereEachValueComesFrom(t *testing.T) {
	file := writeFile(t, "session: {idle_after: 1m}\norigins: [https://a.example]\n")
	loaded := mustLoad(t, Sources{
		File:    file,
		Environ: []string{"ROLLCALL_LISTEN=:9000", "ROLLCALL_LIMITS_MESSAGE_BYTES=1MiB"},
		Flags:   map[string][]string{"log.level": {"warn"}},
	})
	printed, err := loaded.YAML(true)
	require.NoError(t, err)
	got := strings.ReplaceAll(string(printed), file, "rollcall.yaml")
	wantGolden(t, filepath.Join("testdata", "print_origin.golden"), got)
}

func TestAnOddFileNameStaysInItsComment(t *testing.T) {
	loaded := mustLoad(t, Sources{})
	loaded.Origin["drain"] = "a\nlisten: ':80'\u2028:1:1"
	printed, err := loaded.YAML(true)
	require.NoError(t, err)
	require.Contains(t, string(printed), "drain: 5s # a listen: ':80' :1:1\n")
	require.Equal(t, Default(), mustLoad(t, Sources{File: writeFile(t, string(printed))}).Config)
}

func TestSecretsShowNowhere(t *testing.T) {
	const secret, bad = "correct-horse-battery", "not-ascii-é"
	loaded := mustLoad(t, Sources{Environ: []string{"ROLLCALL_API_KEYS=" + secret}})

	printed, err := loaded.YAML(true)
	require.NoError(t, err)
	require.Contains(t, string(printed), "keys: ['********'] # ROLLCALL_API_KEYS")
	asJSON, err := json.Marshal(loaded.Config)
	require.NoError(t, err)
	shown := string(printed) + string(asJSON) + fmt.Sprint(loaded.Config) + fmt.Sprintf("%+v %#v %v", loaded.Config, loaded.Config, &loaded.Config.API)
	require.NotContains(t, shown, secret)

	t.Run("the mask can't be loaded by accident", func(t *testing.T) {
		problems := problemsOf(Sources{File: writeFile(t, string(printed))})
		require.Len(t, problems, 1)
		require.Contains(t, problems[0], "is the mask that config print shows")
	})
	weak := mustLoad(t, Sources{Environ: []string{"ROLLCALL_API_KEYS=" + secret + ",weak-key"}})
	require.Len(t, weak.Warnings, 1)
	require.Equal(t, "ROLLCALL_API_KEYS", weak.Warnings[0].Where)
	require.Contains(t, weak.Warnings[0].What, "item 2 has 8 bytes")
	require.NotContains(t, weak.Warnings[0].String(), "weak-key")
	for _, src := range []Sources{
		{Environ: []string{"ROLLCALL_API_KEYS=" + bad}},
		{Environ: []string{"ROLLCALL_API_KEYS=" + secret, "ROLLCALL_API_KEYS_FILE=x"}},
		{Flags: map[string][]string{"api.keys": {bad}}},
		{File: writeFile(t, "api:\n  keys: "+secret+"\n")},
		{File: writeFile(t, "api:\n  keys: {"+secret+": "+bad+"}\n")},
		{File: writeFile(t, "api:\n  keys: ["+bad+", ["+secret+"]]\n")},
		{File: writeFile(t, "api:\n  keys: [!"+secret+" x]\n")},
		{File: writeFile(t, "api:\n  keys: [*"+secret+"]\n")},
		{File: writeFile(t, "api:\n  keys: ["+secret+"\n")},
		{File: writeFile(t, "api:\n  keys: ['"+secret+"é']\n")},
		{File: writeFile(t, "api:\n  - "+secret+"\n")},
		{Environ: []string{"ROLLCALL_API_KEYS_FILE=" + writeFile(t, bad)}},
	} {
		problems := strings.Join(problemsOf(src), "\n")
		require.NotEmpty(t, problems)
		require.NotContains(t, problems, secret)
		require.NotContains(t, problems, bad)
	}
}

func FuzzFile(f *testing.F) {
	wrong, err := os.ReadFile(filepath.Join("testdata", "everything_wrong.yaml"))
	require.NoError(f, err)
	f.Add(wrong)
	loaded, err := Load(Sources{})
	require.NoError(f, err)
	right, err := loaded.YAML(true)
	require.NoError(f, err)
	f.Add(right)
	f.Add([]byte(`{"listen": ":0", "origins": [&o "*", *o], "session": {"idle_after": 0}}`))
	f.Add([]byte("a: &a [*a]\n<<: *a\n? {}\n: !!binary x\n---\n"))
	f.Add([]byte("%YAML 1.2\n--- >-\n x\n"))
	load := func(content []byte) (*Loaded, error) {
		l := newLoader()
		l.settings("f.yaml", content)
		return l.finish()
	}
	f.Fuzz(func(t *testing.T, content []byte) {
		loaded, err := load(content)
		if err != nil {
			require.NotEmpty(t, err.Error())
			return
		}
		require.Empty(t, loaded.Config.Validate())
		if loaded.Config.API.Keys != nil {
			return // masked when printed
		}
		printed, err := loaded.YAML(true)
		require.NoError(t, err)
		again, err := load(printed)
		require.NoError(t, err, "%s", printed)
		require.Equal(t, loaded.Config, again.Config)
	})
}
