package bench

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"syscall"
)

// crew is the load of one server: as many processes as its clients need.
type crew struct {
	hands []*hand
	total int
}

// hand is one of the processes, from the master's side.
type hand struct {
	cmd     *exec.Cmd
	in      io.Closer
	orders  *json.Encoder
	tallies *json.Decoder
}

// loadCommand is the scenario that makes this program a load process.
const loadCommand = "load"

// spareFiles are those that a load process needs beside its connections.
const spareFiles = 100

// assemble starts the processes and tells them who their clients are.
func assemble(ctx context.Context, c Crowd) (*crew, error) {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return nil, fmt.Errorf("ask for the limit of open files: %w", err)
	}
	each := int(min(limit.Max, 1<<20)) - spareFiles
	if each < 1 {
		return nil, fmt.Errorf("%d open files are too few", limit.Max)
	}
	w := &crew{total: c.Count}
	c.Total = c.Count
	for first := 0; first < c.Total; first += each {
		h, err := startHand(ctx)
		if err != nil {
			w.dismiss()
			return nil, err
		}
		c.Process, c.First, c.Count = len(w.hands), first, min(each, c.Total-first)
		w.hands = append(w.hands, h)
		if err := h.orders.Encode(&Order{Do: Assemble, Crowd: c}); err != nil {
			w.dismiss()
			return nil, fmt.Errorf("tell the load: %w", err)
		}
		if t := h.tally(); t.Error != "" {
			w.dismiss()
			return nil, errors.New(t.Error)
		}
	}
	return w, nil
}

func startHand(ctx context.Context) (*hand, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find this program: %w", err)
	}
	cmd := exec.CommandContext(ctx, self, "bench", loadCommand) //nolint:gosec // ourselves
	cmd.Env = append(os.Environ(), environment...)
	cmd.Stderr = os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, fmt.Errorf("start the load: %w", err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, fmt.Errorf("start the load: %w", err)
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start the load: %w", err)
	}
	return &hand{cmd, in, json.NewEncoder(in), json.NewDecoder(out)}, nil
}

// tally waits for the answer to an order.
func (h *hand) tally() Tally {
	var t Tally
	if err := h.tallies.Decode(&t); err != nil {
		return Tally{Error: fmt.Sprintf("the load ended: %v", err)}
	}
	return t
}

// do has all processes carry out an order at the same time.
func (w *crew) do(o Order) (Tally, error) {
	for _, h := range w.hands {
		if err := h.orders.Encode(&o); err != nil {
			return Tally{}, fmt.Errorf("tell the load: %w", err)
		}
	}
	var sum Tally
	for _, h := range w.hands {
		t := h.tally()
		sum.add(&t)
	}
	if sum.Error != "" {
		return sum, fmt.Errorf("%s: %s", o.Do, sum.Error)
	}
	return sum, nil
}

// dismiss ends the processes, and with them their connections.
func (w *crew) dismiss() {
	for _, h := range w.hands {
		_ = h.in.Close()
		_ = h.cmd.Wait()
	}
	w.hands = nil
}

// serveLoad carries out the orders of standard input until it ends.
func serveLoad(ctx context.Context, in *os.File, out io.Writer) error {
	l, err := newLoad()
	if err != nil {
		return err
	}
	defer l.close()
	orders, tallies := json.NewDecoder(in), json.NewEncoder(out)
	for {
		if err := l.attend(ctx, int(in.Fd())); err != nil {
			return err
		}
		var o Order
		if err := orders.Decode(&o); err == io.EOF {
			return nil
		} else if err != nil {
			return fmt.Errorf("read an order: %w", err)
		}
		t := l.do(ctx, o)
		if err := tallies.Encode(&t); err != nil {
			return fmt.Errorf("answer an order: %w", err)
		}
	}
}
