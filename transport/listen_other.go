//go:build !linux

package transport

import "time"

// setListenOptions leaves everything to the system, but for what net sets.
func setListenOptions(int, ListenOptions) error { return nil }

func perConnectionKeepAlive(o ListenOptions) time.Duration { return o.KeepAlive }
