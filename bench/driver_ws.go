package bench

import "context"

// ws is the hub of bench/peers/node that is made with the package ws.
type ws struct{ hub }

func (ws) Name() string { return "ws" }

func (ws) Start(ctx context.Context, o StartOptions) (*Target, error) {
	return startNodeHub(ctx, "ws.js", "ws", o)
}
