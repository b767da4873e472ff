//go:build !linux

package transport

import "errors"

// newLoops: there is no epoll here.
func newLoops(*Server) (driver, error) { return nil, errors.ErrUnsupported }
