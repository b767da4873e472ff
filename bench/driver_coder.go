package bench

import "context"

// coder is the hub of bench/peers that is made with github.com/coder/websocket.
type coder struct{ hub }

func (coder) Name() string { return "coder" }

func (coder) Start(ctx context.Context, o StartOptions) (*Target, error) {
	return startGoHub(ctx, "coder", "github.com/coder/websocket", o)
}
