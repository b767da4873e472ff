package app

import (
	"context"
	"fmt"
	"os"

	"rollcall/client/terminal"
	"rollcall/config"
)

// Chat runs a chat in the terminal until ctx is done or its input ends, and
// returns the program's exit code.
func Chat(ctx context.Context, c config.Chat) int {
	err := terminal.Run(ctx, terminal.Options{
		URL: c.URL, Room: c.Room, User: c.User, Name: c.Name, Observe: c.Observe, In: os.Stdin, Out: os.Stdout,
	})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}
