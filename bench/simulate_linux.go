package bench

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"runtime"
	"runtime/debug"
	"sync"

	"rollcall/actors"
	"rollcall/engine/local"
	"rollcall/internal/logs"
	"rollcall/presence"
	"rollcall/protocol"
)

// simulate fills rooms of our own server with sessions whose connections are
// simulated: the actors, and all that they keep, without sockets, in numbers
// that no machine here has ports and descriptors for. The tally tells what it
// took, and in Memory and GC what it holds and what a collection costs.
func simulate(ctx context.Context, c Crowd) (Tally, error) {
	lg, err := logs.New(io.Discard, logs.Options{Format: "json", Level: "warn"})
	if err != nil {
		return Tally{}, fmt.Errorf("make a log: %w", err)
	}
	before, err := resident()
	if err != nil {
		return Tally{}, err
	}
	s := actors.New(actors.Options{
		Engine: local.New(local.Options{Messages: 100, Bytes: 1 << 20}), Log: lg,
		Modes: presence.Modes{FullMax: 200, ListMax: 5000, Interval: 250e6}, Timeline: 1000,
	})
	var t Tally
	cpu := ownCPU()
	sessions := make([]*actors.Client, c.Count)
	var in sync.WaitGroup
	for i := range sessions {
		user := fmt.Sprintf("user%07d", i)
		conn := &counting{in: &in}
		sessions[i] = s.Connect(actors.ClientOptions{Connection: conn, Encoding: plain{}, User: user, Name: user})
		in.Add(1)
		sessions[i].Start(conn, []string{fmt.Sprintf("%sr%d", c.Name, i/c.PerRoom)})
		if i%simulatedAtOnce == simulatedAtOnce-1 {
			in.Wait() // what is on its way is not what is measured
			if ctx.Err() != nil {
				return t, fmt.Errorf("interrupted: %w", context.Cause(ctx))
			}
		}
	}
	in.Wait()
	t.CPU, t.Connections = ownCPU()-cpu, c.Count
	debug.FreeOSMemory()
	cpu = ownCPU()
	runtime.GC()
	t.GC = ownCPU() - cpu
	debug.FreeOSMemory()
	after, err := resident()
	if err != nil {
		return t, err
	}
	t.Memory = after - before
	runtime.KeepAlive(sessions)
	return t, s.Stop(ctx)
}

const simulatedAtOnce = 1000

// resident is the memory of this process, in bytes.
func resident() (int64, error) {
	smaps, err := os.ReadFile("/proc/self/smaps_rollup")
	if err != nil {
		return 0, fmt.Errorf("measure memory: %w", err)
	}
	return after(smaps, "\nRss:") << 10, nil
}

// plain is the native protocol without frames.
type plain struct{}

func (plain) Append(b []byte, m protocol.Message) []byte { return append(m.AppendJSON(b), '\n') }

// counting is a connection that keeps nothing, and tells of the first joined.
type counting struct{ in *sync.WaitGroup }

func (c *counting) Write(b []byte, _ int) {
	if c.in != nil && bytes.HasPrefix(b, []byte(`{"type":"joined"`)) {
		c.in.Done()
		c.in = nil
	}
}
func (*counting) Close(uint16, string) {}
func (*counting) Pause()               {}
func (*counting) Soon(f func())        { go f() }
func (*counting) Resume()              {}
