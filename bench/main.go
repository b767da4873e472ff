package bench

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"

	"rollcall/app"
	"rollcall/config"
)

// Main is the command: it measures what c asks for, and returns the program's
// exit code: 0 when all was measured and no server lost anything.
func Main(ctx context.Context, c config.Bench, stdout, stderr io.Writer) int {
	err := Run(ctx, Options{
		Scenarios: c.Scenarios, Short: c.Short, Rounds: c.Rounds, Drivers: c.Drivers, Centrifugo: c.Centrifugo, Report: c.Report,
		Command: "rollcall " + strings.Join(os.Args[1:], " "), Version: app.VersionText(false), Revision: app.Revision(),
		Out: stdout, Progress: stderr,
	})
	if err != nil {
		_, _ = fmt.Fprintln(stderr, err)
		return 1
	}
	return 0
}
