package bench

import (
	"context"
	"debug/buildinfo"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"
)

// buildTimeout bounds what is done once before a peer can be started: a build,
// or an installation.
const buildTimeout = 5 * time.Minute

// toldBytes is how much of what a failed tool printed is passed on: the end.
const toldBytes = 1 << 10

// peersSource is the directory bench/peers: in the working directory, or in one
// above it.
func peersSource() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", fmt.Errorf("find the sources of the peers: %w", err)
	}
	for {
		source := filepath.Join(dir, "bench", "peers")
		if _, err := os.Stat(filepath.Join(source, "go.mod")); err == nil {
			return source, nil
		}
		if dir == filepath.Dir(dir) {
			return "", fmt.Errorf("%w: run it inside the source tree, which has bench/peers", ErrAbsent)
		}
		dir = filepath.Dir(dir)
	}
}

// findTool is where a program is, by its name or path.
func findTool(name string) (path string, err error) {
	if path, err = exec.LookPath(name); err != nil {
		return "", fmt.Errorf("%w: %w", ErrAbsent, err)
	}
	return filepath.Abs(path)
}

// runTool runs a program to its end, within buildTimeout. Whatever is wrong
// means that the server that needs it can't be measured here.
func runTool(dir, name string, args ...string) (output string, err error) {
	path, err := findTool(name)
	if err != nil {
		return "", err
	}
	ctx, cancel := context.WithTimeout(context.Background(), buildTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, path, args...) //nolint:gosec // the user's own programs
	cmd.Dir, cmd.SysProcAttr, cmd.WaitDelay = dir, endsWithUs(), time.Second
	said, err := cmd.CombinedOutput()
	if err != nil {
		said = said[max(0, len(said)-toldBytes):]
		return "", fmt.Errorf("%w: %s: %w: %s", ErrAbsent, strings.Join(cmd.Args, " "), errors.Join(err, ctx.Err()), strings.TrimSpace(string(said)))
	}
	return string(said), nil
}

// goHubs builds the program of bench/peers, once.
var goHubs = sync.OnceValues(func() (program string, err error) {
	source, err := peersSource()
	if err != nil {
		return "", err
	}
	program = filepath.Join(source, ".cache", "hub")
	_, err = runTool(source, "go", "build", "-trimpath", "-o", program, ".")
	return program, err
})

// startGoHub runs the hub of bench/peers that is made with a library.
func startGoHub(ctx context.Context, kind, library string, o StartOptions) (*Target, error) {
	program, err := goHubs()
	if err != nil {
		return nil, err
	}
	version, err := linked(program, library)
	if err != nil {
		return nil, err
	}
	address, err := freeAddress()
	if err != nil {
		return nil, err
	}
	return startPeer(ctx, launch{path: program, args: []string{"--kind=" + kind, "--listen=" + address, "--ping=" + o.pingInterval().String(), fmt.Sprintf("--quiet=%t", o.Quiet)}, address: address}, version)
}

// linked is which version of a module, and of Go, a program was built with.
func linked(program, module string) (string, error) {
	info, err := buildinfo.ReadFile(program)
	if err != nil {
		return "", fmt.Errorf("look at %s: %w", program, err)
	}
	for _, d := range info.Deps {
		if d.Path == module {
			return fmt.Sprintf("%s %s, %s", module, d.Version, info.GoVersion), nil
		}
	}
	return "", fmt.Errorf("%s is built without %s", program, module)
}

// nodeHubs installs the packages of bench/peers/node where they are missing,
// once. It returns the directory, and the versions by package.
var nodeHubs = sync.OnceValues(func() (*nodePackages, error) {
	source, err := peersSource()
	if err != nil {
		return nil, err
	}
	p := &nodePackages{dir: filepath.Join(source, "node")}
	if p.node, err = runTool(p.dir, "node", "--version"); err != nil {
		return nil, err
	}
	if _, err := runTool(p.dir, "npm", "ls", "--silent"); err != nil {
		if _, err := runTool(p.dir, "npm", "ci", "--no-audit", "--no-fund"); err != nil {
			return nil, err
		}
	}
	text, err := fs.ReadFile(os.DirFS(p.dir), "package.json")
	if err == nil {
		err = json.Unmarshal(text, p)
	}
	if err != nil {
		return nil, fmt.Errorf("read the versions of packages: %w", err)
	}
	return p, nil
})

type nodePackages struct {
	dir, node    string
	Dependencies map[string]string // versions, pinned
}

// startNodeHub runs the hub of bench/peers/node that is made with a package.
func startNodeHub(ctx context.Context, script, name string, o StartOptions) (*Target, error) {
	p, err := nodeHubs()
	if err != nil {
		return nil, err
	}
	address, err := freeAddress()
	if err != nil {
		return nil, err
	}
	host, port, _ := strings.Cut(address, ":")
	path, err := findTool("node")
	if err != nil {
		return nil, err
	}
	l := launch{path: path, args: []string{filepath.Join(p.dir, script), host, port, strconv.FormatInt(o.pingInterval().Milliseconds(), 10)}, address: address}
	if o.Quiet {
		l.args = append(l.args, "quiet")
	}
	return startPeer(ctx, l, fmt.Sprintf("%s %s, node %s", name, p.Dependencies[name], strings.TrimSpace(p.node)))
}

// pingInterval is how often quiet clients are pinged: as often as by ours in the
// same scenario.
func (o *StartOptions) pingInterval() time.Duration {
	for _, s := range o.Settings {
		if text, found := strings.CutPrefix(s, "--heartbeat.interval="); found {
			if interval, err := time.ParseDuration(text); err == nil {
				return interval
			}
		}
	}
	return 25 * time.Second
}

func startPeer(ctx context.Context, l launch, version string) (*Target, error) {
	p, err := l.start(ctx)
	if err != nil {
		return nil, err
	}
	return &Target{Address: l.address, PIDs: []int{p.pid()}, Version: version, Config: l.text(), Stop: p.stop}, nil
}

// text is the command for people to read: of files, the names alone.
func (l launch) text() string {
	words := []string{filepath.Base(l.path)}
	for _, a := range l.args {
		if filepath.IsAbs(a) {
			a = filepath.Base(a)
		}
		words = append(words, a)
	}
	return strings.Join(words, " ")
}
