//go:build peers && linux

package bench

import (
	"errors"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Each peer does the work of every order, and tells everybody everything once
// and in order. A peer that is not on this machine is skipped, and why is said:
// ROLLCALL_CENTRIFUGO is the path of a Centrifugo.
func TestPeersDoTheWork(t *testing.T) {
	for _, d := range []Driver{gorilla{}, gobwas{}, coder{}, ws{}, socketIO{}, centrifugo{}} {
		for _, quiet := range []bool{false, true} {
			name := d.Name()
			if quiet {
				name += " quiet"
			}
			t.Run(name, func(t *testing.T) { doTheWork(t, d, quiet) })
		}
	}
}

func doTheWork(t *testing.T, d Driver, quiet bool) {
	const clients, perRoom = 12, 5 // rooms of 5, 5 and 2
	target, err := d.Start(t.Context(), StartOptions{
		Dir: t.TempDir(), Connections: clients, Quiet: quiet,
		Centrifugo: os.Getenv("ROLLCALL_CENTRIFUGO"),
	})
	if errors.Is(err, ErrAbsent) {
		t.Skip(err)
	}
	require.NoError(t, err)
	t.Cleanup(target.Stop)
	require.NotEmpty(t, target.Version)
	require.NotEmpty(t, target.Config)
	t.Log(target.Version)

	l, err := newLoad()
	require.NoError(t, err)
	t.Cleanup(l.close)
	do := func(o Order) Tally {
		t.Helper()
		tally := l.do(t.Context(), o)
		require.Empty(t, tally.Error, "%s", o.Do)
		require.Zero(t, tally.wrong(), "%s: %+v", o.Do, tally)
		return tally
	}
	do(Order{Do: Assemble, Crowd: Crowd{Driver: d.Name(), Address: target.Address, Count: clients, Total: clients, PerRoom: perRoom, Name: "t"}})

	require.Equal(t, clients, do(Order{Do: Open, Whole: !quiet}).Connections)
	const each, heard = 40, 5*5 + 5*5 + 2*2
	for _, o := range []Order{{Window: 8}, {Rate: 2000}} {
		o.Do, o.Senders, o.Each, o.Bytes = Say, perRoom, each, 100
		said := do(o)
		require.Equal(t, clients*each, said.Sent)
		require.Equal(t, heard*each, said.Delivered)
	}
	if _, moves := d.(Mover); moves && !quiet {
		moved := do(Order{Do: Move, Rate: 500, For: time.Second, Seed: 1})
		require.Positive(t, moved.Sent)
		require.Positive(t, moved.Delivered)
	}
	do(Order{Do: Close})
	require.Equal(t, 2*clients, do(Order{Do: Churn, Each: 2}).Connections)
	require.Equal(t, clients, do(Order{Do: Open, Whole: !quiet}).Connections)
	do(Order{Do: Close, Abrupt: true})
}
