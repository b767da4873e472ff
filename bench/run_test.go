//go:build linux

package bench

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"rollcall/app"
	"rollcall/config"
)

// TestMain lets the test's own binary be the program: the server, and the load.
func TestMain(m *testing.M) {
	if os.Getenv("ROLLCALL_TEST_MAIN") == "" {
		environment = []string{"ROLLCALL_TEST_MAIN=1"}
		os.Exit(m.Run())
	}
	os.Exit(program())
}

func program() int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	switch c := config.Parse(os.Args[1:], os.Environ(), os.Stdout, os.Stderr).(type) {
	case config.Serve:
		return app.Serve(ctx, ctx, c.Loaded)
	case config.Bench:
		return Main(ctx, c, os.Stdout, os.Stderr)
	default:
		return 2
	}
}

// own are the servers that need nothing which a machine with Go has not.
var own = []Driver{native{}, stomp{}, sockjs{}, floor{"each"}, floor{"batch"}, floor{"presence"}}

// testBed runs a server with clients in rooms of some.
func testBed(t *testing.T, d Driver, s setup) *bed {
	t.Helper()
	r := &runner{Options: Options{Short: true, Progress: testWriter{t}}, dir: t.TempDir(), report: &Report{}}
	b, err := r.bed(t.Context(), d, s)
	if errors.Is(err, ErrAbsent) {
		t.Skip(err)
	}
	require.NoError(t, err)
	t.Cleanup(b.close)
	return b
}

type testWriter struct{ t *testing.T }

func (w testWriter) Write(b []byte) (int, error) {
	w.t.Logf("%s", b)
	return len(b), nil
}

// order carries an order out, and holds it to nothing being wrong.
func (b *bed) order(t *testing.T, o Order) Tally {
	t.Helper()
	tally, err := b.crew.do(o)
	require.NoError(t, err)
	require.Zero(t, tally.wrong(), "%s: %+v", o.Do, tally)
	return tally
}

// Fifty clients in five rooms: all talk, steadily and as fast as they can, and
// everybody gets everything, once and in order.
func TestTalk(t *testing.T) {
	for _, d := range own {
		t.Run(d.Name(), func(t *testing.T) {
			t.Parallel()
			const clients, members, each = 50, 10, 20
			b := testBed(t, d, setup{clients: clients, perRoom: members})
			require.Equal(t, clients, b.order(t, Order{Do: Open}).Connections)
			for _, o := range []Order{
				{Do: Say, Senders: members, Each: each, Rate: 5000, Bytes: messageBytes},
				{Do: Say, Senders: members, Each: each, Window: 4, Bytes: messageBytes},
				{Do: Say, Senders: 1, Each: each, Bytes: messageBytes},
			} {
				tally := b.order(t, o)
				require.Equal(t, clients/members*o.Senders*each, tally.Sent)
				require.Equal(t, clients*o.Senders*each, tally.Expected)
				require.Equal(t, tally.Expected, tally.Delivered)
				require.Equal(t, uint64(tally.Delivered), tally.Latency.N)
			}
			b.order(t, Order{Do: Close})
		})
	}
}

// Clients come and go: they all get in, and everybody's view is whole.
func TestComeAndGo(t *testing.T) {
	for _, d := range own {
		if d == Driver(floor{"each"}) || d == Driver(floor{"batch"}) {
			continue // they tell nobody of anybody
		}
		t.Run(d.Name(), func(t *testing.T) {
			t.Parallel()
			const clients = 50
			b := testBed(t, d, setup{clients: clients, perRoom: clients})
			for range 2 {
				require.Equal(t, clients, b.order(t, Order{Do: Open, Whole: true}).Connections)
				b.order(t, Order{Do: Close, Abrupt: true})
			}
			require.Equal(t, 5*clients, b.order(t, Order{Do: Churn, Each: 5}).Connections)
		})
	}
}

// Clients that are cut off come back as the same sessions, and miss nothing of
// the room's order.
func TestResumption(t *testing.T) {
	const clients = 50
	b := testBed(t, native{}, setup{clients: clients, perRoom: 10, settings: []string{"--session.resume-window=1m"}})
	b.order(t, Order{Do: Open})
	for range 2 {
		require.Equal(t, clients, b.order(t, Order{Do: Resume, Window: 10}).Connections)
	}
	b.order(t, Order{Do: Say, Senders: 10, Each: 3, Window: 1, Bytes: messageBytes})
}

// Without a resume window the load notices that sessions are others.
func TestASessionThatIsNotTheSameIsRefused(t *testing.T) {
	b := testBed(t, native{}, setup{clients: 2, perRoom: 2})
	b.order(t, Order{Do: Open})
	tally, err := b.crew.do(Order{Do: Resume, Timeout: time.Second})
	require.Error(t, err)
	require.Positive(t, tally.Refused)
}

// Members that come, go and change at random all know who is there in the end,
// in every mode of a room.
func TestWalk(t *testing.T) {
	for name, settings := range map[string][]string{
		"full":  {"--presence.full-max=200"},
		"batch": {"--presence.full-max=5", "--presence.interval=20ms"},
		"count": {"--presence.full-max=5", "--presence.list-max=10", "--presence.interval=20ms"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := testBed(t, native{}, setup{clients: 50, perRoom: 50, settings: settings})
			b.order(t, Order{Do: Open})
			for seed := range uint64(3) { // each goes on where the one before ended
				require.Positive(t, b.order(t, Order{Do: Move, Rate: 500, For: time.Second / 2, Seed: seed}).Sent)
			}
		})
	}
}

// An order that can't be carried out is an error, not a silence.
func TestOrdersThatCannotBe(t *testing.T) {
	b := testBed(t, stomp{}, setup{clients: 1, perRoom: 1})
	for _, do := range []Do{Resume, Move, "dance"} {
		_, err := b.crew.do(Order{Do: do})
		require.Error(t, err, do)
	}
	_, err := assemble(t.Context(), Crowd{Driver: "nobody", Address: "127.0.0.1:1", Count: 1, PerRoom: 1})
	require.ErrorContains(t, err, "no such driver")
	_, err = assemble(t.Context(), Crowd{Driver: native{}.Name(), Address: "somewhere", Count: 1, PerRoom: 1})
	require.ErrorContains(t, err, "address")
	// Nobody listens there: all connections fail, and are counted.
	nobody, err := freeAddress()
	require.NoError(t, err)
	w, err := assemble(t.Context(), Crowd{Driver: native{}.Name(), Address: nobody, Count: 3, PerRoom: 1})
	require.NoError(t, err)
	defer w.dismiss()
	tally, err := w.do(Order{Do: Open})
	require.Error(t, err)
	require.Equal(t, 3, tally.Broken)
}

// A server that ends breaks connections, and that is counted, with the next order.
func TestBrokenConnectionsAreCounted(t *testing.T) {
	b := testBed(t, native{}, setup{clients: 5, perRoom: 5})
	b.order(t, Order{Do: Open})
	require.NoError(t, syscall.Kill(b.target.PIDs[0], syscall.SIGKILL))
	b.target.Stop()
	tally, err := b.crew.do(Order{Do: Watch, For: time.Millisecond})
	require.NoError(t, err)
	require.Equal(t, 5, tally.Broken)
}

// What the server uses is seen.
func TestMeasure(t *testing.T) {
	b := testBed(t, native{}, setup{clients: 5, perRoom: 5})
	s, err := b.do(t.Context(), Order{Do: Open})
	require.NoError(t, err)
	require.Positive(t, s.cpu)
	require.Positive(t, s.switches)
	require.Positive(t, s.after.rss)
	require.Positive(t, s.after.pss)
	require.GreaterOrEqual(t, s.after.peak, s.after.rss/2)
	_, err = measure([]int{1 << 30})
	require.Error(t, err)
}

// Sessions without sockets fill rooms, in a process of its own.
func TestSimulation(t *testing.T) {
	r := &runner{Options: Options{Progress: testWriter{t}}}
	s, err := r.simulate(t.Context(), 2000, 100)
	require.NoError(t, err)
	require.Equal(t, 2000, s.Connections)
	require.Positive(t, s.CPU)
	require.Positive(t, s.GC)
}

// The program, whole: a scenario, its table, and the report with its plots.
func TestRun(t *testing.T) {
	file := filepath.Join(t.TempDir(), "docs", "benchmarks.md")
	out := &tail{}
	err := Run(t.Context(), Options{
		Scenarios: []string{"churn"}, Short: true, Rounds: 1, Drivers: []string{native{}.Name()}, Report: file,
		Command: "rollcall bench churn", Version: "rollcall 1", Out: out, Progress: testWriter{t},
	})
	require.NoError(t, err)
	require.Contains(t, out.String(), "visits per second")
	report, err := os.ReadFile(file)
	require.NoError(t, err)
	for _, part := range []string{"rollcall bench churn", "| connect, join, leave and close |", "µs of CPU per visit", "### The presence benchmark", "--log.level=warn"} {
		require.Contains(t, string(report), part)
	}
}

func TestRunRefuses(t *testing.T) {
	for _, o := range []Options{{Scenarios: []string{"dance"}}, {Drivers: []string{"nobody"}}, {Rounds: -1}, {Rounds: 1e6}} {
		o.Out, o.Progress = testWriter{t}, testWriter{t}
		require.Error(t, Run(t.Context(), o), fmt.Sprint(o))
	}
}
