package bench

import "context"

// gorilla is the hub of bench/peers that is made with github.com/gorilla/websocket.
type gorilla struct{ hub }

func (gorilla) Name() string { return "gorilla" }

func (gorilla) Start(ctx context.Context, o StartOptions) (*Target, error) {
	return startGoHub(ctx, "gorilla", "github.com/gorilla/websocket", o)
}
