//go:build faults

// Package faults breaks things on purpose and holds the server to its promises:
// the built program in a process of its own, clients in others, over real
// sockets. A referee in every room records what it is told and judges it at the
// end (package referee). docs/faults.md has the results, and the commands.
package faults

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"rollcall/internal/crowd"
)

var (
	long   = flag.Bool("long", false, "the loads of docs/faults.md, and not those of CI")
	report = flag.String("report", "", "the document whose tables the results replace")
)

// load is how much of everything there is.
type load struct {
	hit, others int             // clients that a fault hits, and others
	storm       int             // who come back at once
	joins       []int           // who join one room
	windows     []time.Duration // of resume, for most scenarios
}

// loads is the load of this run: that of CI, or of docs/faults.md.
var loads = load{hit: 200, others: 60, storm: 1000, joins: []int{1000}, windows: []time.Duration{2 * time.Second}}

var longLoads = load{hit: 400, others: 100, storm: 5000, joins: []int{1000, 10_000}, windows: []time.Duration{0, 2 * time.Second}}

func TestMain(m *testing.M) {
	crowd.MainIfOrdered()
	flag.Parse()
	if *long {
		loads = longLoads
	}
	began := loadAverage()
	code := m.Run()
	if code == 0 && *report != "" {
		machine(began)
		if err := writeReport(*report); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	_ = os.RemoveAll(buildDir)
	os.Exit(code)
}

var buildDir string

// binaries are the program as it ships, and the one with faults to inject.
var (
	shipped    = sync.OnceValues(func() (string, error) { return build("rollcall") })
	breakable  = sync.OnceValues(func() (string, error) { return build("rollcall-faults", "-tags", "faults") })
	makingDirs sync.Mutex
)

func build(name string, args ...string) (string, error) {
	makingDirs.Lock()
	defer makingDirs.Unlock()
	if buildDir == "" {
		dir, err := os.MkdirTemp("", "rollcall-faults")
		if err != nil {
			return "", err
		}
		buildDir = dir
	}
	file := filepath.Join(buildDir, name)
	cmd := exec.Command("go", append(append([]string{"build", "-o", file}, args...), ".")...)
	cmd.Dir = filepath.Join("..", "..")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build: %w\n%s", err, out)
	}
	return file, nil
}
