package crowd

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"syscall"
)

// variable makes a test's binary a crowd.
const variable = "ROLLCALL_TEST_CROWD"

// MainIfOrdered turns the process into a crowd if it was started as one. It is
// the first thing that a TestMain does.
func MainIfOrdered() {
	if os.Getenv(variable) != "" {
		os.Exit(Main(os.Stdin, os.Stdout))
	}
}

// Process is a crowd from the test's side.
type Process struct {
	cmd     *exec.Cmd
	in      io.WriteCloser
	orders  *json.Encoder
	reports *json.Decoder
}

// Start runs the test's own binary as a crowd.
func Start() (*Process, error) {
	cmd := exec.Command(os.Args[0]) // #nosec G204 G702 -- ourselves
	cmd.Env = append(os.Environ(), variable+"=1")
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start a crowd: %w", err)
	}
	return &Process{cmd, in, json.NewEncoder(in), json.NewDecoder(out)}, nil
}

// Order has the crowd do something, and waits for its report. What went wrong
// with it is the error.
func (p *Process) Order(o Order) (Report, error) {
	if err := p.Begin(o); err != nil {
		return Report{}, err
	}
	return p.Report()
}

// Begin gives an order without waiting for its report.
func (p *Process) Begin(o Order) error { return p.orders.Encode(&o) }

// Report waits for the report of the oldest order begun.
func (p *Process) Report() (Report, error) {
	var r Report
	if err := p.reports.Decode(&r); err != nil {
		return r, fmt.Errorf("the crowd ended: %w", err)
	}
	if r.Error != "" {
		return r, errors.New(r.Error)
	}
	return r, nil
}

// Signal sends the crowd a signal.
func (p *Process) Signal(s syscall.Signal) error { return p.cmd.Process.Signal(s) }

// Kill ends the crowd at once, as SIGKILL does, and waits until it is gone.
func (p *Process) Kill() {
	_ = p.in.Close()
	_ = p.cmd.Process.Kill()
	_ = p.cmd.Wait()
}
