package config

import (
	"errors"
	"fmt"
	"io"
	"net/url"
	"reflect"
	"slices"
	"strings"

	"github.com/alecthomas/kong"
)

// configVariable names the file where no --config does.
const configVariable = "ROLLCALL_CONFIG"

// helpShown is the command of a line that asked for help, and got it.
const helpShown = "help"

const tryHelp = `Try "rollcall --help", or "rollcall serve --help" for the settings`

// cli is the grammar of the command line. The flags of the settings are made
// from the table.
type cli struct {
	Serve struct {
		Settings kong.Plugins `embed:""`
	} `cmd:"" default:"withargs" help:"Run the server. This is the default command."`

	Config struct {
		Check struct {
			Settings kong.Plugins `embed:""`
		} `cmd:"" help:"Say what is wrong with the configuration, all of it at once. Takes the flags of serve; exits with 1 if anything is."`
		Print struct {
			Origin   bool         `help:"Say behind each value where it comes from."`
			Settings kong.Plugins `embed:""`
		} `cmd:"" help:"Print the effective configuration as YAML, secrets masked. Takes the flags of serve."`
		Schema struct{} `cmd:"" help:"Print a JSON Schema of the configuration file, for editors."`
	} `cmd:"" help:"Check or show the configuration."`

	Version struct {
		JSON bool `name:"json" help:"As JSON."`
	} `cmd:"" help:"Print the version."`

	Healthcheck struct {
		URL      string       `name:"url" placeholder:"URL" help:"Where to ask, such as https://chat.example.com/healthz, in place of the configured address."`
		Settings kong.Plugins `embed:""`
	} `cmd:"" help:"Ask a running server whether it is well; exits with 0 if it is, else 1. Takes the flags of serve."`

	Why struct {
		Room     string       `arg:"" help:"The room."`
		User     string       `arg:"" help:"The user id; one who gave none is named after the session."`
		URL      string       `name:"url" placeholder:"URL" help:"The server, such as https://chat.example.com, in place of the configured address."`
		JSON     bool         `name:"json" help:"The answer as the server gives it."`
		Settings kong.Plugins `embed:""`
	} `cmd:"" help:"Tell what happened to a user in a room, and why they are shown as they are. Takes the flags of serve."`

	Chat struct {
		Room string `arg:"" help:"The room to join."`
		URL  string `name:"url" default:"ws://${listen}/ws" help:"The server's WebSocket address."`
		User string `placeholder:"USER" help:"Who to be."`
		Name string `placeholder:"NAME" help:"The name to show to the others."`

		Observe bool `help:"Watch without being a member."`
	} `cmd:"" help:"Chat in the terminal."`

	Bench struct {
		Scenarios  []string `arg:"" help:"all, or some of idle, fanout, rooms, joinstorm, churn, resume, presence and growth."`
		Short      bool     `help:"Smaller and fewer: less than ten minutes."`
		Rounds     int      `help:"How often each figure is taken."`
		Drivers    []string `name:"driver" placeholder:"NAME" help:"Measure these servers alone."`
		Centrifugo string   `placeholder:"PATH" help:"The program of Centrifugo 6, to measure it, too."`
		Report     string   `placeholder:"FILE" help:"Write a report in Markdown, with plots in a folder beside it."`
	} `cmd:"" help:"Measure this server, and others beside it."`
}

// line is a command line, understood.
type line struct {
	command string // as kong writes it, such as "config print"; or helpShown
	cli     cli
	flags   map[string][]string // of the settings and --config, by name
	unknown error               // Problems with flags that no command has; nil: none
}

// parseLine understands a line. Unknown flags are set aside, so that all of
// them can be told together with what else is wrong.
func parseLine(args []string, stdout io.Writer) (*line, error) {
	l := &line{flags: map[string][]string{}}
	l.cli.Serve.Settings = settings("")
	for _, plugins := range []*kong.Plugins{&l.cli.Config.Check.Settings, &l.cli.Config.Print.Settings, &l.cli.Healthcheck.Settings, &l.cli.Why.Settings} {
		*plugins = settings(`hidden:""`)
	}
	helped := false
	parser, err := kong.New(&l.cli,
		kong.Name("rollcall"),
		kong.Description("A chat presence server: who is in a room, who comes, who goes, and why."),
		kong.Vars{"listen": Default().Listen},
		kong.Writers(stdout, io.Discard),
		kong.Exit(func(int) { helped = true }),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true}),
	)
	if err != nil {
		return nil, fmt.Errorf("build the command line: %w", err)
	}
	if err := checkCommand(parser.Model, args); err != nil {
		return nil, err
	}
	args, l.unknown = setAside(parser.Model, args)
	ctx, err := parser.Parse(args)
	if helped {
		return &line{command: helpShown}, nil
	}
	if err != nil && l.unknown != nil {
		return nil, l.unknown // whose values may be all that err is about
	}
	if err != nil {
		return nil, fmt.Errorf("rollcall: %w\n%s", err, tryHelp)
	}
	l.command = ctx.Command()
	for _, step := range ctx.Path {
		if step.Flag == nil {
			continue
		}
		if values, ok := step.Flag.Target.Interface().(values); ok {
			l.flags[step.Flag.Name] = values
		}
	}
	return l, l.checkURLs()
}

// checkCommand refuses a first word that is no command, which would else be an
// argument too many of the default one.
func checkCommand(app *kong.Application, args []string) error {
	if len(args) == 0 || strings.HasPrefix(args[0], "-") {
		return nil
	}
	var names []string
	for _, command := range app.Children {
		names = append(names, command.Name)
	}
	if slices.Contains(names, args[0]) {
		return nil
	}
	return fmt.Errorf("rollcall: unknown command %s%s\n%s", quote(args[0]), didYouMean(nearest(args[0], names)), tryHelp)
}

func (l *line) checkURLs() error {
	for _, url := range []string{l.cli.Healthcheck.URL, l.cli.Why.URL} {
		if err := checkURL(url, "http", "https"); err != nil {
			return err
		}
	}
	return checkURL(l.cli.Chat.URL, "ws", "wss")
}

func checkURL(s string, schemes ...string) error {
	if s == "" {
		return nil
	}
	u, err := url.Parse(s)
	if err == nil && u.Host != "" {
		for _, scheme := range schemes {
			if u.Scheme == scheme {
				return nil
			}
		}
	}
	return Problems{{"--url", fmt.Sprintf("url = %s, must be an address that begins with %s://", quote(s), strings.Join(schemes, ":// or "))}}
}

// sources adds the environment to the settings of the line.
func (l *line) sources(environ []string) Sources {
	src := Sources{Environ: environ, Flags: l.flags}
	if files := l.flags["config"]; len(files) > 0 {
		src.File = files[len(files)-1]
		return src
	}
	for _, entry := range environ {
		if name, value, _ := strings.Cut(entry, "="); name == configVariable {
			src.File = value
		}
	}
	return src
}

// setAside takes the flags that no command has out of args. The error is a
// Problems with a line for each; nil if there are none.
func setAside(app *kong.Application, args []string) (rest []string, unknown error) {
	names := flagNames(app)
	var problems Problems
	for i, arg := range args {
		if arg == "--" {
			rest = append(rest, args[i:]...)
			break
		}
		name, isFlag := strings.CutPrefix(arg, "--")
		name, _, _ = strings.Cut(name, "=")
		if !isFlag || slices.Contains(names, name) {
			rest = append(rest, arg)
			continue
		}
		problem := Problem{"--" + name, "unknown flag"}
		if near := nearest(name, names); near != "" {
			problem.What += didYouMean("--" + near)
		}
		problems = append(problems, problem)
	}
	if problems == nil {
		return rest, nil
	}
	return rest, problems
}

// flagNames lists the long flags of all commands, without dashes.
func flagNames(app *kong.Application) []string {
	var names []string
	for _, command := range append(app.Leaves(false), app.Node) {
		for _, flag := range slices.Concat(command.AllFlags(false)...) {
			names = append(names, flag.Name)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// values collects every value that a flag is given.
type values []string

// Decode implements kong.MapperValue.
func (v *values) Decode(ctx *kong.DecodeContext) error {
	token, err := ctx.Scan.PopValue("value")
	if err != nil { // which repeats the token, perhaps a secret
		return errors.New("needs a value; write FLAG=VALUE when the value begins with a dash")
	}
	*v = append(*v, token.String())
	return nil
}

// settings is a part of the grammar with --config and a flag for each knob.
func settings(tag string) kong.Plugins {
	fields := []reflect.StructField{flagField("Config",
		`name:"config" short:"c" placeholder:"FILE" help:"A YAML file with settings. Variables (ROLLCALL_…) are stronger than the file, flags are stronger than both."`)}
	for _, s := range sections {
		for _, k := range s.knobs {
			placeholder := k.kind.format(k.def)
			if placeholder == "" {
				placeholder = "…"
			}
			fields = append(fields, flagField(fmt.Sprintf("Knob%d", len(fields)),
				fmt.Sprintf(`name:%q placeholder:%q group:%q help:%q %s`, k.flag(), placeholder, s.title+":", k.help(), tag)))
		}
	}
	return kong.Plugins{reflect.New(reflect.StructOf(fields)).Interface()}
}

func flagField(name, tag string) reflect.StructField {
	return reflect.StructField{Name: name, Type: reflect.TypeFor[values](), Tag: reflect.StructTag(tag)}
}

// help is the first sentence of what the knob does.
func (k *knob) help() string {
	first, _, _ := strings.Cut(k.does, ". ")
	help := strings.TrimSuffix(strings.ReplaceAll(first, "`", ""), ".") + "."
	if k.zero != "" {
		help += " 0: " + k.zero + "."
	}
	return help
}
