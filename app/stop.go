package app

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"rollcall/actors"
	"rollcall/internal/logs"
	"rollcall/protocol"
)

// graceTimeout is how long, after the last bye, connections may take for their
// close handshakes, and actors for their end.
const graceTimeout = 5 * time.Second

// stop takes the server down: readyz says so, nobody new is let in, clients
// are told to go one after the other, and the rest is undone in reverse. Until
// all are told the port stays open, so that who asks is answered: readyz, and
// newcomers with 503 and when to try again. When hurry is done nothing is waited
// for any more.
func (a *App) stop(hurry context.Context) error {
	began := time.Now()
	a.leaving.Store(a.departure(began))
	a.draining.Store(true)
	a.system.Drain()
	a.log.Info(logs.Stopping, logs.Fields{"step": "readyz says 503"})
	told := a.drain(hurry)
	a.sockjs.openings.closeAll()
	a.log.Info(logs.Stopping, logs.Fields{
		"step": "tell clients", "clients": told, "duration_ms": time.Since(began).Milliseconds(),
	})
	if err := ignoreClosed(a.listener.Close()); err != nil {
		a.log.Warn(logs.Stopping, logs.Fields{"step": "stop accepting", "reason": err.Error()})
	} else {
		a.log.Info(logs.Stopping, logs.Fields{"step": "stop accepting"})
	}
	ctx, cancel := context.WithTimeout(hurry, a.cfg.Transport.CloseTimeout+graceTimeout)
	defer cancel()
	a.steps.add("close HTTP server", func(ctx context.Context) error {
		// It may find the listener closed before Serve has noticed: that is no failure.
		if err := ignoreClosed(a.http.Shutdown(ctx)); err != nil {
			return errors.Join(err, a.http.Close())
		}
		return nil
	})
	err := a.steps.undo(ctx, a.log)
	a.log.Info(logs.Stopped, logs.Fields{"duration_ms": time.Since(began).Milliseconds()})
	return err
}

// drain tells every client to go, evenly over the drain time and in no order,
// so that they do not all come back at once. It returns how many it told.
func (a *App) drain(hurry context.Context) (told int) {
	clients := a.system.Clients()
	rand.Shuffle(len(clients), func(i, j int) { clients[i], clients[j] = clients[j], clients[i] })
	began := time.Now()
	for i, c := range clients {
		due := a.cfg.Drain * time.Duration(i) / time.Duration(len(clients))
		if !sleepUntil(hurry, began.Add(due)) {
			break
		}
		a.goodbye(c)
		told++
	}
	if hurry.Err() != nil {
		a.leaving.Store(&departure{time.Now(), a.leaving.Load().spread})
	}
	for _, c := range a.system.Clients() { // who came in between, or when in a hurry
		a.goodbye(c)
		told++
	}
	return told
}

// departure says when clients are to come back to a server that goes away.
type departure struct {
	ends   time.Time     // when the last of them is told to go
	spread time.Duration // over which all of them come back after that
}

// departure plans the drain that begins now. Clients come back over the drain
// time, or longer where admission of the next process would not let them in so
// fast.
func (a *App) departure(now time.Time) *departure {
	d := &departure{now.Add(a.cfg.Drain), a.cfg.Drain}
	if rate := a.cfg.Admission.Rate; rate > 0 {
		needed := float64(len(a.system.Clients())) / rate * float64(time.Second)
		d.spread = max(d.spread, time.Duration(min(needed, float64(time.Hour))))
	}
	return d
}

// after is how long a client that is told now is to stay away: until the last
// one is told, and then a random part of the spread. Whoever was told first and
// whoever was told last come back in the same stretch of time.
func (d *departure) after(now time.Time) time.Duration {
	return max(d.ends.Sub(now), 0) + rand.N(max(d.spread, 1))
}

func (a *App) goodbye(c *actors.Client) {
	c.EndAfter(protocol.ReasonShutdown, protocol.CloseShutdown, "", a.leaving.Load().after(time.Now()))
}

func sleepUntil(ctx context.Context, at time.Time) bool {
	d := time.Until(at)
	if d <= 0 {
		return ctx.Err() == nil
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
