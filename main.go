// Rollcall is a presence and chat server: it knows who is in which room, tells
// everyone in it, and says why somebody left.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"rollcall/app"
	"rollcall/bench"
	"rollcall/config"
)

func main() { os.Exit(run()) }

func run() int {
	switch c := config.Parse(os.Args[1:], os.Environ(), os.Stdout, os.Stderr).(type) {
	case config.Serve:
		ctx, hurry, stop := signals()
		defer stop()
		return app.Serve(ctx, hurry, c.Loaded)
	case config.Chat:
		ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
		defer stop()
		return app.Chat(ctx, c)
	case config.Healthcheck:
		return app.Healthcheck(c)
	case config.Why:
		ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
		defer stop()
		return app.Why(ctx, c, os.Stdout, os.Stderr)
	case config.Bench:
		ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
		defer stop()
		return bench.Main(ctx, c, os.Stdout, os.Stderr)
	case config.Version:
		fmt.Println(app.VersionText(c.JSON))
		return 0
	case config.Done:
		return c.Code
	default:
		panic(fmt.Sprintf("command %T", c))
	}
}

// signals makes two contexts: the first SIGTERM or Ctrl-C ends ctx, the second
// hurry as well.
func signals() (ctx, hurry context.Context, stop func()) {
	ctx, first := context.WithCancel(context.Background())
	hurry, second := context.WithCancel(context.Background())
	caught := make(chan os.Signal, 2)
	signal.Notify(caught, os.Interrupt, syscall.SIGTERM)
	go func() {
		<-caught
		first()
		<-caught
		second()
	}()
	return ctx, hurry, func() { signal.Stop(caught) }
}
