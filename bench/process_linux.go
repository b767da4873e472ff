package bench

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"time"
)

// startTimeout is how long a server has until it takes connections.
const startTimeout = 30 * time.Second

// stopTimeout is how long it has to end by itself, once told.
const stopTimeout = 5 * time.Second

// launch is how a server is run.
type launch struct {
	path    string
	args    []string
	env     []string // beside our own environment
	dir     string   // "": ours
	address string   // where it will listen
}

// process is a child that ends with us, whatever ends us.
type process struct {
	cmd    *exec.Cmd
	stderr tail
	done   chan struct{} // closed when it has ended, and err is set
	err    error
}

// start runs a server, and returns when it takes connections.
func (l launch) start(ctx context.Context) (*process, error) {
	p := &process{cmd: exec.CommandContext(ctx, l.path, l.args...), done: make(chan struct{})} //nolint:gosec // the user's own programs
	p.cmd.Env, p.cmd.Dir = append(os.Environ(), l.env...), l.dir
	p.cmd.Stdout, p.cmd.Stderr = &p.stderr, &p.stderr
	p.cmd.WaitDelay = stopTimeout
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", l.path, err)
	}
	go func() {
		p.err = p.cmd.Wait()
		close(p.done)
	}()
	if err := p.awaitPort(l.address); err != nil {
		p.stop()
		return nil, err
	}
	return p, nil
}

// awaitPort returns when somebody listens at the address.
func (p *process) awaitPort(address string) error {
	again := time.NewTicker(5 * time.Millisecond)
	defer again.Stop()
	late := time.After(startTimeout)
	for {
		conn, err := net.Dial("tcp", address)
		if err == nil {
			return conn.Close()
		}
		select {
		case <-p.done:
			return fmt.Errorf("%s ended at once: %w: %s", p.cmd.Path, errors.Join(p.err), p.stderr.String())
		case <-late:
			return fmt.Errorf("%s does not listen at %s after %v: %s", p.cmd.Path, address, startTimeout, p.stderr.String())
		case <-again.C:
		}
	}
}

func (p *process) pid() int { return p.cmd.Process.Pid }

// stop ends the process, and waits until it is gone.
func (p *process) stop() {
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.done:
	case <-time.After(stopTimeout):
		_ = p.cmd.Process.Kill()
		<-p.done
	}
}

// freeAddress is a port of loopback that nobody listens at now.
func freeAddress() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("find a free port: %w", err)
	}
	return l.Addr().String(), l.Close()
}

// tail keeps the end of what a process prints.
type tail struct {
	mu sync.Mutex
	b  []byte
}

const tailBytes = 4 << 10

func (t *tail) Write(b []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.b = append(t.b, b...)
	if more := len(t.b) - tailBytes; more > 0 {
		t.b = append(t.b[:0], t.b[more:]...)
	}
	return len(b), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return strings.TrimSpace(string(t.b))
}
