package config

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
)

//go:generate go test . -run TestReferenceIsCurrent -update

func TestReferenceIsCurrent(t *testing.T) {
	wantGolden(t, filepath.Join("..", "docs", "configuration.md"), reference())
}

// reference is docs/configuration.md, made from the table.
func reference() string {
	var b strings.Builder
	b.WriteString(referenceHead)
	for _, s := range sections {
		fmt.Fprintf(&b, "- [%s](#%s): ", s.title, anchor(s.title))
		for i, k := range s.knobs {
			if i > 0 {
				b.WriteString(", ")
			}
			fmt.Fprintf(&b, "`%s`", k.path)
		}
		b.WriteString("\n")
	}
	for _, s := range sections {
		fmt.Fprintf(&b, "\n## %s\n\n%s\n", s.title, s.about)
		for _, k := range s.knobs {
			fmt.Fprintf(&b, "\n### `%s`\n\n", k.path)
			fmt.Fprintf(&b, "Default %s · %s · `%s` · `--%s`\n\n", k.defaultText(), k.bounds(), k.env(), k.flag())
			fmt.Fprintf(&b, "%s\n\n", k.does)
			fmt.Fprintf(&b, "- %s: %s\n- Cost: %s\n", k.verb(), k.more, k.cost)
		}
	}
	return b.String()
}

func anchor(title string) string {
	return strings.ReplaceAll(strings.ToLower(title), " ", "-")
}

func (k *knob) defaultText() string {
	switch s := k.kind.format(k.def); {
	case s == "":
		return "empty"
	case s == "0" && k.zero != "":
		return "`0` (" + k.zero + ")"
	default:
		return "`" + s + "`"
	}
}

// verb introduces what a change of the knob buys.
func (k *knob) verb() string {
	if k.kind.number != nil {
		return "Raising it buys"
	}
	return "It buys"
}

// bounds is what values the knob takes, and their unit.
func (k *knob) bounds() string {
	switch k.kind {
	case duration:
		return "duration, " + k.between()
	case size:
		return "bytes, " + k.between()
	case count, rate:
		return k.unit + ", " + k.between()
	case choice:
		return "`" + strings.Join(k.options, "`, `") + "`"
	case list:
		return "list of text"
	default:
		return "text"
	}
}

func (k *knob) between() string {
	switch {
	case k.zero == "":
		return fmt.Sprintf("`%s` to `%s`", k.bound(k.min), k.bound(k.max))
	case k.min == 0:
		return fmt.Sprintf("`0` (%s) to `%s`", k.zero, k.bound(k.max))
	default:
		return fmt.Sprintf("`0` (%s) or `%s` to `%s`", k.zero, k.bound(k.min), k.bound(k.max))
	}
}

const referenceHead = `# Configuration

Nothing needs to be set: the defaults run, on loopback. This page is made from the table in
` + "`config/knobs.go`" + ` by ` + "`go generate ./config`" + `; change it there.

A value comes from one of these, the later ones stronger:

1. the default,
2. a YAML file, named by ` + "`--config FILE` (`-c`) or by `ROLLCALL_CONFIG`" + `,
3. an environment variable: ` + "`session.idle_after` is `ROLLCALL_SESSION_IDLE_AFTER`" + `,
4. a flag: ` + "`session.idle_after` is `--session.idle-after`" + `.

` + "```yaml" + `
# yaml-language-server: $schema=rollcall.schema.json
listen: :8443
tls: {cert: /etc/rollcall/cert.pem, key: /etc/rollcall/key.pem}
origins: ["https://chat.example.com", "https://*.example.com"]
session:
  idle_after: 2m
  disconnect_after: 1h
limits:
  message_bytes: 16KiB
  connections: 15000
` + "```" + `

- **Durations** are written as Go does: ` + "`300ms`, `1m30s`, `24h`" + `. **Sizes** are bytes: ` + "`65536`, `64KiB`, `1MiB`, `1GiB`" + `. ` + "`0`" + ` turns a thing off where
  its entry below says so.
- **Lists** are YAML lists in the file; in variables and flags their items are separated by commas, and a flag of a list may be repeated.
- An **empty variable** counts as not set. **Secrets** can be in a file, one on each line, that the variable with ` + "`_FILE`" + ` at its end names:
  ` + "`ROLLCALL_API_KEYS_FILE=/run/secrets/rollcall`" + `.
- A **mistake** anywhere keeps the server from starting, even where a stronger source has a good value, and all mistakes are told at once,
  each with its place: ` + "`rollcall.yaml:7:3: unknown key \"session.idle\"; did you mean \"session.idle_after\"?`" + `. Only unknown variables are a warning,
  because Kubernetes makes some of its own (` + "`ROLLCALL_SERVICE_HOST`" + `).

| command | does |
|---|---|
| ` + "`rollcall config check`" + ` | says what is wrong, all of it, and exits with 1; or that nothing is |
| ` + "`rollcall config print`" + ` | prints the effective configuration as a file, secrets masked; with ` + "`--origin`" + ` and where each value comes from |
| ` + "`rollcall config schema > rollcall.schema.json`" + ` | writes a JSON Schema of the file, for editors |
| ` + "`rollcall serve --help`" + ` | lists the flags |

The settings:

`
