package crowd

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync"
	"time"
)

// send has every client, or the first few, send something, each from a goroutine of its own, and
// waits until all are through. Who is cut meanwhile stops.
func (c *crowd) send(o *Order) error {
	var all sync.WaitGroup
	for i, cl := range c.clients {
		if o.Count > 0 && i == o.Count {
			break
		}
		all.Go(func() {
			cl.mu.Lock()
			w := cl.wire
			cl.mu.Unlock()
			if w == nil {
				return
			}
			random := rand.New(rand.NewPCG(o.Seed, uint64(i)))
			if o.Every > 0 { // not all at one instant
				<-time.After(time.Duration(random.Int64N(int64(o.Every))))
			}
			for n := range o.Times {
				if _, err := w.Write(cl.frames(o, n, random)); err != nil {
					return
				}
				if o.Every > 0 {
					<-time.After(o.Every)
				}
			}
		})
	}
	all.Wait()
	return nil
}

// frames is one turn of what a client sends.
func (c *client) frames(o *Order, n int, random *rand.Rand) []byte {
	switch o.What {
	case Bad:
		return Frame(1, []byte(`{"type":"nonsense","id":`+strconv.Itoa(n+1)+`}`))
	case Ping:
		return Frame(9, []byte(time.Now().Add(c.crowd.clock).String()))
	case Malformed:
		return malformed(random)
	}
	var b []byte
	for _, room := range c.rooms {
		at := time.Now().Add(c.crowd.clock).UnixMilli() // no field of the protocol: whoever reads it is wrong
		b = append(b, Frame(1, fmt.Appendf(nil, `{"type":"publish","id":%d,"room":%q,"data":{"text":"%s %d%s"},"at":%d}`,
			n+1, room, c.user, n, strings.Repeat(" ", o.Size), at))...)
	}
	return b
}

// malformed is a frame that breaks rules of RFC 6455, of UTF-8, of JSON or of
// the protocol; or, by chance, none of them.
func malformed(random *rand.Rand) []byte {
	good := Frame(1, []byte(`{"type":"signal","room":"r0","data":{"typing":true}}`))
	noise := func(n int) []byte {
		b := make([]byte, n)
		for i := range b {
			b[i] = byte(random.Uint32())
		}
		return b
	}
	switch random.IntN(12) {
	case 0: // anything
		return noise(1 + random.IntN(200))
	case 1: // some bits of a good frame are others
		for range 1 + random.IntN(4) {
			good[random.IntN(len(good))] ^= 1 << random.IntN(8)
		}
		return good
	case 2: // not masked
		return append([]byte{0x81, 2}, "{}"...)
	case 3: // reserved bits
		good[0] |= byte(1+random.IntN(7)) << 4
		return good
	case 4: // an unknown opcode
		return Frame(byte(3+random.IntN(5)), noise(8))
	case 5: // a continuation of nothing
		return Frame(0, noise(8))
	case 6: // a control frame in parts, or too long
		b := Frame(9, noise(random.IntN(300)))
		b[0] &^= 0x80
		return b
	case 7: // a length that nobody may send
		return append([]byte{0x81, 0xff}, noise(12)...)
	case 8: // text that is not UTF-8
		return Frame(1, noise(1+random.IntN(100)))
	case 9: // half a frame, and then nothing
		return good[:1+random.IntN(len(good)-1)]
	case 10: // a close frame with any code and text
		return Frame(8, noise(random.IntN(40)))
	}
	return Frame(1, []byte(fmt.Sprintf(`{"type":"join","room":%q,"since":%d,"id":-1}`, noise(20), random.Uint64())))
}
