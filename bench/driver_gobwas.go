package bench

import "context"

// gobwas is the hub of bench/peers that is made with github.com/gobwas/ws.
type gobwas struct{ hub }

func (gobwas) Name() string { return "gobwas" }

func (gobwas) Start(ctx context.Context, o StartOptions) (*Target, error) {
	return startGoHub(ctx, "gobwas", "github.com/gobwas/ws", o)
}
