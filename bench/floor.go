package bench

import (
	"bytes"
	"context"
	_ "embed" // of the program
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

//go:embed floor/floor.c
var floorSource []byte

// floor is a program in C that only writes the bytes, see floor/floor.c.
type floor struct{ mode string } // "each", "batch" or "presence"

// The names of the floors.
const (
	floorEach     = "floor"
	floorBatch    = "floor-batch"
	floorPresence = "floor-presence"
)

func (f floor) Name() string {
	if f.mode == "each" {
		return floorEach
	}
	return floorEach + "-" + f.mode
}

func (f floor) Start(ctx context.Context, o StartOptions) (*Target, error) {
	compiler, err := exec.LookPath("cc")
	if err != nil {
		if compiler, err = exec.LookPath("gcc"); err != nil {
			return nil, fmt.Errorf("%w: there is no C compiler (cc or gcc)", ErrAbsent)
		}
	}
	source, program := filepath.Join(o.Dir, "floor.c"), filepath.Join(o.Dir, "floor")
	if _, err := os.Stat(program); err != nil {
		if err := os.WriteFile(source, floorSource, 0o600); err != nil {
			return nil, fmt.Errorf("write the floor: %w", err)
		}
		if said, err := exec.CommandContext(ctx, compiler, "-O2", "-o", program, source).CombinedOutput(); err != nil { //nolint:gosec // our own source
			return nil, fmt.Errorf("compile the floor: %w: %s", err, bytes.TrimSpace(said))
		}
	}
	version, err := exec.CommandContext(ctx, compiler, "--version").Output() //nolint:gosec // likewise
	if err != nil {
		return nil, fmt.Errorf("ask the compiler for its version: %w", err)
	}
	name, _, _ := strings.Cut(string(version), "\n")
	address, err := freeAddress()
	if err != nil {
		return nil, err
	}
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, fmt.Errorf("find a free port: %w", err)
	}
	p, err := launch{path: program, args: []string{port, f.mode}, address: address}.start(ctx)
	if err != nil {
		return nil, err
	}
	return &Target{Address: address, PIDs: []int{p.pid()}, Version: name, Config: "floor " + port + " " + f.mode, Stop: p.stop}, nil
}

func (floor) Handshake(c *Client) (target, header string) { return "/" + c.Room, "" }

func (floor) Opening(*Client) []string { return nil }

// floorEnvelope is about as long as what Rollcall writes around a message.
const floorEnvelope = `P{"type":"message","room":"a1r0","offset":10000,"at":1790000000000,"message":"m_10000","session":"s_6f0k2m6f0k2m6f0k2m","user":"a1u10000","name":"a1u10000","data":"`

func (floor) Publish(dst []byte, _ *Client, body []byte) []byte {
	dst = append(dst, floorEnvelope...)
	dst = append(dst, body...)
	return append(dst, `"}`...)
}

func (floor) Leave(dst []byte, _ *Client) []byte { return append(dst, 'L') }

func (floor) Read(_ *Client, m []byte) Event {
	switch word(m, `{"type":"`) {
	case "message":
		return Event{Kind: Message}
	case "joined":
		return Event{Kind: Joined, Counted: true, Count: int(number(m, `"count":`))}
	case "left":
		return Event{Kind: Left}
	case "join", "leave":
		return Event{Kind: Presence, Counted: true, Count: int(number(m, `"count":`))}
	}
	return Event{}
}
