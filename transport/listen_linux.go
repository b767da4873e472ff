package transport

import (
	"time"

	"golang.org/x/sys/unix"
)

// setListenOptions: all of these are inherited by accepted sockets.
func setListenOptions(fd int, o ListenOptions) error {
	for _, set := range []struct{ level, name, value int }{
		{unix.SOL_SOCKET, unix.SO_SNDBUF, o.SendBufferBytes},
		{unix.SOL_SOCKET, unix.SO_KEEPALIVE, 1},
		{unix.IPPROTO_TCP, unix.TCP_KEEPIDLE, max(1, int(o.KeepAlive/time.Second))},
		{unix.IPPROTO_TCP, unix.TCP_KEEPINTVL, max(1, int(o.KeepAlive/time.Second/4))},
		{unix.IPPROTO_TCP, unix.TCP_KEEPCNT, 4},
		{unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, int(o.UserTimeout / time.Millisecond)},
	} {
		if err := unix.SetsockoptInt(fd, set.level, set.name, set.value); err != nil {
			return err
		}
	}
	return nil
}

// perConnectionKeepAlive keeps net from setting on each connection what it has
// inherited.
func perConnectionKeepAlive(ListenOptions) time.Duration { return -1 }
