package config

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"strings"
)

// Command is what a command line asks for: Serve, Healthcheck, Why, Chat, Bench,
// Version or Done.
type Command interface{ command() }

// Serve runs the server. Its warnings are for the log.
type Serve struct{ *Loaded }

// Healthcheck asks a running server for its health: GET URL, exit code 0 for
// status 200, else 1.
type Healthcheck struct {
	URL        string
	SkipVerify bool // the URL is our own address, which our certificate need not name
}

// Why asks a running server for what it has on record of a user in a room.
type Why struct {
	Room, User string
	URL        string // of the server, without a path of ours
	SkipVerify bool   // as in Healthcheck
	Key        string // a bearer key; "": there is none
	JSON       bool   // the answer as the server gives it
}

// Chat is a chat in the terminal.
type Chat struct {
	Room string
	URL  string // ws:// or wss://
	User string // "": the server decides
	Name string // likewise
	// Observe watches the room without being a member of it.
	Observe bool
}

// Bench measures this server beside others.
type Bench struct {
	Scenarios  []string // "all", or those that there are
	Short      bool
	Rounds     int // 0: as many as the form wants
	Drivers    []string
	Centrifugo string // a program; "": none
	Report     string // a file; "": none
}

// Version prints what this program is, as text or as JSON.
type Version struct{ JSON bool }

// Done leaves nothing to do but exit: help was shown, a config command has
// answered, or stderr was told everything that is wrong.
type Done struct{ Code int }

// Exit codes of Done, beside 0.
const (
	badConfig = 1 // or output that could not be written
	badLine   = 2 // the command line makes no sense
)

func (Serve) command()       {}
func (Healthcheck) command() {}
func (Why) command()         {}
func (Chat) command()        {}
func (Bench) command()       {}
func (Version) command()     {}
func (Done) command()        {}

// Parse reads the command line (without the program's name), the environment
// (as os.Environ has it) and the file they name. Help and the config commands
// are answered on stdout here; everything that is wrong goes to stderr.
func Parse(args, environ []string, stdout, stderr io.Writer) Command {
	line, err := parseLine(args, stdout)
	if err != nil {
		return refuse(stderr, err, badLine)
	}
	if line.unknown != nil {
		_, err := Load(line.sources(environ))
		return refuse(stderr, errors.Join(line.unknown, err), badLine)
	}
	switch line.command {
	case helpShown:
		return Done{0}
	case "version":
		return Version{line.cli.Version.JSON}
	case "chat <room>":
		return Chat(line.cli.Chat)
	case "bench <scenarios>":
		return Bench(line.cli.Bench)
	case "healthcheck":
		if url := line.cli.Healthcheck.URL; url != "" {
			return Healthcheck{URL: url}
		}
	case "config schema":
		return answer(stdout, stderr, Schema)
	}

	loaded, err := Load(line.sources(environ))
	if err != nil {
		return refuse(stderr, err, badConfig)
	}
	switch line.command {
	case "config check":
		warn(stderr, loaded.Warnings)
		return answer(stdout, stderr, loaded.summary)
	case "config print":
		warn(stderr, loaded.Warnings)
		return answer(stdout, stderr, func() ([]byte, error) { return loaded.YAML(line.cli.Config.Print.Origin) })
	case "healthcheck":
		url, known := loaded.Config.ownURL()
		if !known {
			return refuse(stderr, errUnknownPort, badConfig)
		}
		return Healthcheck{URL: url + "/healthz", SkipVerify: true}
	case "why <room> <user>":
		return line.why(&loaded.Config, stderr)
	default:
		return Serve{loaded}
	}
}

var errUnknownPort = errors.New("listen has port 0, so the server's port is unknown here: name it with --url")

// why finds the server that a Why is for, and what it lets us in with.
func (l *line) why(c *Config, stderr io.Writer) Command {
	asked := l.cli.Why
	w := Why{Room: asked.Room, User: asked.User, URL: strings.TrimSuffix(asked.URL, "/"), JSON: asked.JSON}
	if w.URL == "" {
		var known bool
		if w.URL, known = c.ownURL(); !known {
			return refuse(stderr, errUnknownPort, badConfig)
		}
		w.SkipVerify = true
	}
	if len(c.API.Keys) > 0 {
		w.Key = c.API.Keys[0]
	}
	return w
}

// answer prints what make made.
func answer(stdout, stderr io.Writer, make func() ([]byte, error)) Done {
	out, err := make()
	if err == nil {
		_, err = stdout.Write(out)
	}
	if err != nil {
		return refuse(stderr, err, badConfig)
	}
	return Done{0}
}

func refuse(stderr io.Writer, err error, code int) Done {
	_, _ = fmt.Fprintln(stderr, err)
	return Done{code}
}

func warn(stderr io.Writer, warnings []Problem) {
	for _, w := range warnings {
		_, _ = fmt.Fprintf(stderr, "warning: %s\n", w)
	}
}

// summary is the answer of `config check`.
func (l *Loaded) summary() ([]byte, error) {
	given, all := 0, 0
	for k := range knobs() {
		all++
		if !strings.HasPrefix(l.origin(k), byDefault) {
			given++
		}
	}
	return fmt.Appendf(nil, "configuration ok: %d of %d settings given, the others are defaults\n", given, all), nil
}

// ownURL is where a server with this configuration is reached from the same
// machine, without a path. It returns false when the port is not known
// beforehand.
func (c *Config) ownURL() (string, bool) {
	host, port, err := net.SplitHostPort(c.Listen)
	if err != nil || port == "0" {
		return "", false
	}
	switch host {
	case "", "0.0.0.0":
		host = "127.0.0.1"
	case "::":
		host = "::1"
	}
	u := url.URL{Scheme: "http", Host: net.JoinHostPort(host, port)}
	if c.TLS.Cert != "" {
		u.Scheme = "https"
	}
	return u.String(), true
}
