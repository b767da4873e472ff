package crowd

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"rollcall/protocol"
)

// crowd is the process's side: it does what it is ordered, one after the
// other.
type crowd struct {
	address string
	digests bool
	clients []*client
	clock   time.Duration

	frames, bytes, messages atomic.Int64
}

// Main is a crowd's process: it reads orders and writes reports until there
// are no more. It returns the exit code.
func Main(in io.Reader, out io.Writer) int {
	c := &crowd{}
	orders, reports := json.NewDecoder(in), json.NewEncoder(out)
	for {
		var o Order
		if err := orders.Decode(&o); err != nil {
			if errors.Is(err, io.EOF) {
				return 0
			}
			return 2
		}
		var r Report
		began := time.Now()
		if err := c.obey(&o, &r); err != nil {
			r.Error = err.Error()
		}
		r.Took = time.Since(began)
		for _, cl := range c.clients {
			if cl.connected.Load() {
				r.Connected++
			}
		}
		r.Frames, r.Bytes, r.Messages = c.frames.Load(), c.bytes.Load(), c.messages.Load()
		if reports.Encode(&r) != nil {
			return 1
		}
	}
}

func (c *crowd) obey(o *Order, r *Report) error {
	switch o.Do {
	case Connect:
		c.address, c.digests, c.clock = o.Address, o.Digests, o.Clock
		var fresh []*client
		for i := range o.N {
			fresh = append(fresh, &client{crowd: c, user: "u" + strconv.Itoa(o.First+i), rooms: rooms(o, i)})
		}
		c.clients = append(c.clients, fresh...)
		return c.connect(o, r, fresh)
	case Back:
		if o.Address != "" {
			c.address = o.Address
		}
		var gone []*client
		for _, cl := range c.clients {
			if !cl.connected.Load() {
				gone = append(gone, cl)
			}
		}
		return c.connect(o, r, gone)
	case Drop:
		for _, cl := range c.clients {
			cl.drop(o.How)
		}
		return c.await(o, func(cl *client) bool { return !cl.connected.Load() }, len(c.clients))
	case Rejoin:
		for _, cl := range c.clients {
			cl.rejoin()
		}
		return c.await(o, func(cl *client) bool { return cl.in.Load() >= int32(len(cl.rooms)) }, len(c.clients))
	case Send:
		return c.send(o)
	case Deafen:
		c.hearing(&hearing{hear: make(chan struct{})})
	case Hear:
		c.hearing(&hearing{every: o.Every, most: o.Most})
	case Await:
		return c.awaitWhat(o)
	case Dribble:
		return dribble(o, r)
	case Tell:
		for _, cl := range c.clients {
			r.Clients = append(r.Clients, cl.report())
		}
	default:
		return fmt.Errorf("no order is called %q", o.Do)
	}
	return nil
}

func rooms(o *Order, i int) (names []string) {
	each := max(o.Each, 1)
	for k := range each {
		names = append(names, "r"+strconv.Itoa((i*each+k)%o.Rooms))
	}
	return names
}

// connect connects clients, so many handshakes at once, and waits until each
// that got through is in its rooms.
func (c *crowd) connect(o *Order, r *Report, clients []*client) error {
	limit := o.AtOnce
	if limit <= 0 {
		limit = 64
	}
	turns := make(chan struct{}, limit)
	var refused atomic.Int64
	var last atomic.Pointer[error]
	var all sync.WaitGroup
	for _, cl := range clients {
		turns <- struct{}{}
		all.Go(func() {
			defer func() { <-turns }()
			if err := cl.connect(o); err != nil {
				refused.Add(1)
				last.Store(&err)
			}
		})
	}
	all.Wait()
	r.Refused = int(refused.Load())
	err := c.awaitOf(o, clients, func(cl *client) bool { return cl.isIn() || !cl.connected.Load() }, len(clients))
	if err == nil && r.Refused > 0 {
		err = fmt.Errorf("%d of %d handshakes failed: %w", r.Refused, len(clients), *last.Load())
	}
	return err
}

func (c *client) isIn() bool { return c.connected.Load() && c.in.Load() >= int32(len(c.rooms)) }

func (c *crowd) awaitWhat(o *Order) error {
	switch o.What {
	case Ended:
		return c.await(o, func(cl *client) bool { return !cl.connected.Load() }, o.Count)
	case In:
		return c.await(o, (*client).isIn, o.Count)
	case Told:
		return c.await(o, func(cl *client) bool { return cl.toldOf(o.Offset) }, o.Count)
	case Messages:
		return wait(o, func() error {
			if n := c.messages.Load(); n < int64(o.Count) {
				return fmt.Errorf("%d of %d messages came", n, o.Count)
			}
			return nil
		})
	}
	return fmt.Errorf("nothing to await is called %q", o.What)
}

func (c *client) toldOf(offset uint64) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, s := range c.stays {
		if s.told.Load() < offset {
			return false
		}
	}
	return len(c.stays) > 0
}

func (c *crowd) await(o *Order, is func(*client) bool, want int) error {
	return c.awaitOf(o, c.clients, is, want)
}

func (c *crowd) awaitOf(o *Order, clients []*client, is func(*client) bool, want int) error {
	return wait(o, func() error {
		n := 0
		for _, cl := range clients {
			if is(cl) {
				n++
			}
		}
		if n < want {
			return fmt.Errorf("%d of %d clients are there", n, want)
		}
		return nil
	})
}

// wait looks until nothing is missing any more.
func wait(o *Order, missing func() error) error {
	look := time.NewTicker(5 * time.Millisecond)
	defer look.Stop()
	deadline := time.After(o.timeout())
	for {
		err := missing()
		if err == nil {
			return nil
		}
		select {
		case <-look.C:
		case <-deadline:
			return fmt.Errorf("%s after %s: %w", o.Do, o.timeout(), err)
		}
	}
}

func (c *client) drop(how string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.wire == nil {
		return
	}
	switch how {
	case "close":
		_, _ = c.wire.Write(Frame(8, []byte{0x03, 0xe9})) // 1001: going away
	case "reset":
		c.wire.Reset()
	case "abandon":
		c.connected.Store(false)
	default:
		_ = c.wire.Close()
	}
}

func (c *client) rejoin() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, s := range c.stays {
		if s.left != "" && c.connected.Load() {
			c.in.Add(-1)
			c.say(fmt.Sprintf(`{"type":"join","id":1,"room":%q}`, s.room))
		}
	}
}

func (c *crowd) hearing(h *hearing) {
	for _, cl := range c.clients {
		if old := cl.hearing.Swap(h); old != nil && old.hear != nil && h.hear == nil {
			select {
			case <-old.hear:
			default:
				close(old.hear) // it is one for all of them
			}
		}
	}
}

func (c *client) report() Client {
	c.mu.Lock()
	defer c.mu.Unlock()
	r := Client{
		Session: c.session, User: c.user, Connected: c.connected.Load(), Resumed: c.resumed, Bye: c.bye, Close: c.close, Wrong: c.wrong,
		Errors: map[protocol.ErrorCode]int{},
	}
	for code, n := range c.errors {
		r.Errors[code] = n
	}
	for _, s := range c.stays {
		r.Stays = append(r.Stays, Stay{s.room, s.epoch, s.from, s.told.Load(), s.left, s.digest, s.whole})
	}
	return r
}

// dribble opens handshakes and sends them byte by byte, until the server ends
// each. It is an error if one gets through, or outlives the timeout.
func dribble(o *Order, r *Report) error {
	request := "GET /ws HTTP/1.1\r\nHost: " + o.Address + "\r\nX-Long: " + strings.Repeat("x", 4000)
	deadline := time.Now().Add(o.timeout())
	var all sync.WaitGroup
	var ended atomic.Int64
	for range o.N {
		all.Go(func() {
			conn, err := net.DialTimeout("tcp", o.Address, o.timeout())
			if err != nil {
				return
			}
			defer func() { _ = conn.Close() }()
			over := make(chan struct{})
			go func() {
				defer close(over)
				_ = conn.SetReadDeadline(deadline)
				if _, err := io.Copy(io.Discard, conn); err == nil || !errors.Is(err, os.ErrDeadlineExceeded) {
					ended.Add(1)
				}
			}()
			tick := time.NewTicker(max(o.Every, time.Millisecond))
			defer tick.Stop()
			for i := range len(request) {
				select {
				case <-over:
					return
				case <-tick.C:
					if _, err := conn.Write([]byte{request[i]}); err != nil {
						<-over
						return
					}
				}
			}
			<-over
		})
	}
	all.Wait()
	r.Refused = int(ended.Load())
	if r.Refused < o.N {
		return fmt.Errorf("the server ended %d of %d handshakes within %s", r.Refused, o.N, o.timeout())
	}
	return nil
}
