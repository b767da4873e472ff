package bench

import (
	"bytes"
	"encoding/binary"
	"fmt"

	"golang.org/x/sys/unix"
)

// conn is the connection of one client: closed, dialling, upgrading, opening,
// in, closing, and closed again.
type conn struct {
	load       *load
	slot       int32 // in load.conns
	fd         int
	generation int32 // of fd: events of an earlier one are stale
	stage      stage
	client     Client

	rest []byte // of a frame, or of the answer to the upgrade, that has not come whole
	wait []byte // what the kernel would not take

	ledger  ledger
	members int  // how many the client knows to be in its room
	chained bool // Last is where the room's order is; false: the client was not told yet
	outside bool // the client has left its room, and not come back
	count   int  // the task's own
}

type stage uint8

const (
	shut stage = iota
	dialling
	upgrading
	opening
	inRoom
	closing
)

// begin connects as somebody new.
func (c *conn) begin() {
	c.client.Token = ""
	c.dial()
}

// dialAgain connects as who it was.
func (c *conn) dialAgain() {
	if c.client.Token == "" {
		c.load.tally.Refused++
		c.load.wrong("the server gave nothing to resume with")
	}
	c.dial()
}

// dial begins to connect.
func (c *conn) dial() {
	l := c.load
	c.rest, c.wait, c.chained, c.outside, c.members, c.client.Stage = c.rest[:0], c.wait[:0], false, false, 0, 0
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		c.fail(fmt.Errorf("make a socket: %w", err))
		return
	}
	c.fd, c.stage = fd, dialling
	c.generation++
	c.client.Visit++
	source := l.dialled/portsPerAddress + 1
	l.dialled++
	// Without a port in bind, the kernel may give the same one to connections to
	// other servers.
	_ = unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_BIND_ADDRESS_NO_PORT, 1)
	_ = unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1)
	err = unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, byte(1 + l.crowd.Process), byte(source >> 8), byte(source)}})
	if err == nil {
		err = unix.Connect(fd, &l.server)
	}
	if err != nil && err != unix.EINPROGRESS {
		c.fail(fmt.Errorf("connect: %w", err))
		return
	}
	e := unix.EpollEvent{Events: unix.EPOLLIN | unix.EPOLLOUT, Fd: c.slot, Pad: c.generation}
	if err = unix.EpollCtl(l.epoll, unix.EPOLL_CTL_ADD, fd, &e); err != nil {
		c.fail(fmt.Errorf("watch a socket: %w", err))
	}
}

// fail ends a connection that we could not make.
func (c *conn) fail(err error) {
	c.load.wrong(err.Error())
	c.over(false)
}

// cut ends the connection with a reset, which leaves no port behind that waits.
func (c *conn) cut() {
	if c.fd < 0 {
		return
	}
	_ = unix.SetsockoptLinger(c.fd, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1})
	_ = unix.Close(c.fd)
	c.fd, c.stage = -1, shut
}

// over is the end of the connection, and tells the task.
func (c *conn) over(asked bool) {
	if !asked {
		c.load.tally.Broken++
	}
	c.cut()
	c.load.task.gone(c)
}

// happened takes an event of the epoll set.
func (c *conn) happened(what uint32) {
	if what&unix.EPOLLOUT != 0 {
		if c.stage == dialling && what&(unix.EPOLLERR|unix.EPOLLHUP) == 0 {
			c.upgrade()
		}
		c.flush()
	}
	if c.fd >= 0 && what&(unix.EPOLLIN|unix.EPOLLERR|unix.EPOLLHUP) != 0 {
		c.receive()
	}
}

// upgrade asks for a WebSocket.
func (c *conn) upgrade() {
	target, header := c.load.dialect.Handshake(&c.client)
	c.stage = upgrading
	c.load.write = fmt.Appendf(c.load.write[:0], "GET %s HTTP/1.1\r\nHost: %s\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"+
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n%s\r\n", target, c.load.crowd.Address, header)
	c.wait = append(c.wait, c.load.write...)
}

// flush writes what waits, and watches for room only while something does.
func (c *conn) flush() {
	if len(c.wait) > 0 {
		n, err := unix.Write(c.fd, c.wait)
		if err != nil && err != unix.EAGAIN {
			c.over(c.asked())
			return
		}
		c.wait = c.wait[:copy(c.wait, c.wait[max(n, 0):])]
	}
	if len(c.wait) == 0 {
		c.watch(unix.EPOLLIN)
	}
}

func (c *conn) watch(what uint32) {
	e := unix.EpollEvent{Events: what, Fd: c.slot, Pad: c.generation}
	_ = unix.EpollCtl(c.load.epoll, unix.EPOLL_CTL_MOD, c.fd, &e) // the socket is in the set
}

// asked says whether an end of the connection now is one that we asked for.
func (c *conn) asked() bool { return c.stage == closing }

// text sends one text message.
func (c *conn) text(message []byte) { c.frame(0x1, message) }

// frame sends one frame, masked as a client's must be (RFC 6455 §5.3).
func (c *conn) frame(op byte, payload []byte) {
	if c.fd < 0 {
		return
	}
	l := c.load
	l.write = appendMasked(l.write[:0], op, payload)
	if len(c.wait) > 0 {
		c.wait = append(c.wait, l.write...)
		return
	}
	n, err := unix.Write(c.fd, l.write)
	switch {
	case err == unix.EAGAIN:
		n = 0
	case err != nil:
		return // reading tells of the end
	}
	if n < len(l.write) {
		c.wait = append(c.wait, l.write[n:]...)
		c.watch(unix.EPOLLIN | unix.EPOLLOUT)
	}
}

// maskKey is the key of all frames: the load has no proxies to fool.
var maskKey = [4]byte{0x52, 0x6f, 0x6c, 0x6c}

func appendMasked(b []byte, op byte, payload []byte) []byte {
	b = append(b, 0x80|op)
	switch n := len(payload); {
	case n < 126:
		b = append(b, 0x80|byte(n))
	case n < 1<<16:
		b = append(b, 0x80|126, byte(n>>8), byte(n))
	default:
		b = append(b, 0x80|127)
		b = binary.BigEndian.AppendUint64(b, uint64(n))
	}
	b = append(b, maskKey[:]...)
	for i, x := range payload {
		b = append(b, x^maskKey[i&3])
	}
	return b
}

// goodbye sends a close frame, and waits for the server to end the connection.
func (c *conn) goodbye() {
	c.stage = closing
	c.frame(0x8, []byte{1000 >> 8, 1000 & 0xff})
}

// receive reads once: what is left over, the next event tells.
func (c *conn) receive() {
	l := c.load
	n, err := unix.Read(c.fd, l.read)
	switch {
	case err == unix.EAGAIN || err == unix.EINTR:
		return
	case err != nil || n == 0:
		c.over(c.asked())
		return
	}
	b := l.read[:n]
	l.tally.Bytes += int64(n)
	held := len(c.rest) > 0
	if held {
		c.rest = append(c.rest, b...)
		b = c.rest
	}
	l.taken = now()
	generation := c.generation
	used := c.take(b)
	if c.fd < 0 || c.generation != generation {
		return
	}
	switch {
	case used == len(b):
		if cap(c.rest) > 4<<10 {
			c.rest = nil
		}
		c.rest = c.rest[:0]
	case held:
		c.rest = c.rest[:copy(c.rest, b[used:])]
	default:
		c.rest = append(c.rest[:0], b[used:]...)
	}
}

// take takes all whole frames in b, and says how long they were.
func (c *conn) take(b []byte) (used int) {
	if c.stage == upgrading {
		end := bytes.Index(b, []byte("\r\n\r\n"))
		if end < 0 {
			return 0
		}
		used = end + 4
		if !bytes.HasPrefix(b, []byte("HTTP/1.1 101 ")) {
			c.fail(fmt.Errorf("the upgrade was answered with %q", b[:min(end, 120)]))
			return used
		}
		c.stage = opening
		for _, m := range c.load.dialect.Opening(&c.client) {
			c.text([]byte(m))
		}
	}
	generation := c.generation
	for c.fd >= 0 && c.generation == generation {
		op, payload, n := parseFrame(b[used:])
		if n == 0 {
			return used
		}
		used += n
		c.load.tally.Frames++
		switch op {
		case 0x1, 0x2:
			c.message(payload)
		case 0x8:
			c.frame(0x8, payload[:min(len(payload), 2)])
			c.over(c.asked())
		case 0x9:
			c.frame(0xa, payload)
		}
	}
	return used
}

// parseFrame takes the first frame of b, unmasked and whole. n is its length;
// 0: it is not all there.
func parseFrame(b []byte) (op byte, payload []byte, n int) {
	if len(b) < 2 {
		return 0, nil, 0
	}
	length, at := uint64(b[1]&0x7f), 2
	switch length {
	case 126:
		if at = 4; len(b) < at {
			return 0, nil, 0
		}
		length = uint64(binary.BigEndian.Uint16(b[2:]))
	case 127:
		if at = 10; len(b) < at {
			return 0, nil, 0
		}
		length = binary.BigEndian.Uint64(b[2:])
	}
	if length > uint64(len(b)-at) {
		return 0, nil, 0
	}
	n = at + int(length)
	return b[0] & 0xf, b[at:n], n
}

// message takes one message of the server.
func (c *conn) message(m []byte) {
	l := c.load
	e := l.dialect.Read(&c.client, m)
	for _, reply := range e.Reply {
		c.text([]byte(reply))
	}
	switch e.Kind {
	case Refused:
		l.tally.Refused++
		l.wrong(fmt.Sprintf("the server refused: %.200s", m))
		return
	case Presence, Joined:
		l.tally.PresenceFrames++
		l.tally.PresenceBytes += int64(len(m))
	}
	c.follow(e)
	if e.Kind != Joined { // which repeats what was said before
		for said, rest := nextBody(m); rest != nil; said, rest = nextBody(rest) {
			l.task.heard(c, said)
		}
	}
	switch e.Kind {
	case Joined:
		if c.stage == opening {
			c.stage = inRoom
		}
		l.task.in(c)
	case Left:
		l.task.left(c)
	case Presence:
		l.task.saw(c)
	}
}

// follow holds a message against the order of the room, and counts members.
func (c *conn) follow(e Event) {
	if e.Counted {
		c.members = e.Count
	} else {
		c.members += e.Change
	}
	switch {
	case e.Kind == Joined:
		c.chained = e.Last != 0
		c.client.Last = e.Last
	case e.Kind == Left:
		c.chained = false
	case e.Last != 0 && c.chained:
		if e.First != c.client.Last+1 {
			c.load.tally.Disordered++
		}
		c.client.Last = max(c.client.Last, e.Last)
	}
}
