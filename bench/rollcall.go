package bench

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
)

// settings are the flags that every server of ours is measured with: no bound
// of the defaults is in the way of a load that comes from one machine, and the
// log says nothing that is not wrong.
func settings(connections int) []string {
	return []string{
		"--log.level=warn", "--log.format=json",
		"--limits.connections=" + strconv.Itoa(connections+connections/4+100),
		"--limits.publish-rate=0", "--limits.update-rate=0", "--limits.signal-rate=0", "--limits.request-rate=0",
		"--limits.room-queue=0", "--limits.outbound-bytes=64MiB",
		"--admission.rate=0", "--admission.address-rate=0",
		"--session.idle-after=0", "--session.disconnect-after=0", "--session.resume-window=0",
		"--drain=0s",
	}
}

// environment is what makes this program a server when it is another one's
// test.
var environment []string

// startRollcall runs this same program as a server.
func startRollcall(ctx context.Context, o StartOptions) (*Target, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find this program: %w", err)
	}
	address, err := freeAddress()
	if err != nil {
		return nil, err
	}
	args := append(append([]string{"serve", "--listen=" + address}, settings(o.Connections)...), o.Settings...)
	p, err := launch{path: self, args: args, env: environment, address: address}.start(ctx)
	if err != nil {
		return nil, err
	}
	return &Target{
		Address: address, PIDs: []int{p.pid()}, Version: o.Version,
		Config: "rollcall " + strings.Join(args, " "), Stop: p.stop,
	}, nil
}
